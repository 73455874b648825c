"""The builder: runs outside of components."""

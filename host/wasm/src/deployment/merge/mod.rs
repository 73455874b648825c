//! Merges the core modules of a component into one, before it is compiled.
//!
//! Tool chains of languages link libraries when the component is instantiated: Python's is made of a dozen core modules with
//! thousands of imports between them. The engine would resolve these for each guest anew, call from one library to another
//! through pointers, and fill the table of functions before the guest runs.
//!
//! ```text
//!   shim ─ main ─ libc ─ library ... ─ adapter ──▶ merged module ─▶ fixup
//!   └─────────── are merged ────────────┘                           needs lowered functions, which need the memory of the others
//! ```
//!
//! What a guest computes stays the same, and so does the fuel of its instructions. Its first turn spends less by what filling the tables
//! took, one unit for each element, so a history that was recorded before is within its limit. A component that cannot be merged is left
//! as it is.

mod group;
mod module;
mod parts;
#[cfg(test)]
mod tests;
mod writer;

use group::Group;
use parts::Parts;
use writer::Writer;

/// The component has something that is not merged.
#[derive(Debug)]
struct Unmergeable;

/// Returns the component with its core modules merged. None: there is nothing to merge. The caller must have validated it.
pub(crate) fn merge(component: &[u8]) -> Option<Vec<u8>> {
    rewritten(component).ok().flatten()
}

fn rewritten(component: &[u8]) -> Result<Option<Vec<u8>>, Unmergeable> {
    let parts = Parts::read(component)?;
    let group = Group::of(&parts)?.unless_alone();
    if group.members.is_empty() && !parts.is_changed {
        return Ok(None);
    }
    Writer::new(&parts, &group)?.write().map(Some)
}

fn refuse(is_unmergeable: bool) -> Result<(), Unmergeable> {
    if is_unmergeable { Err(Unmergeable) } else { Ok(()) }
}

"""`truststore`, which has the certificates of the machine trusted. The host, which speaks TLS for guests, decides that."""

from __future__ import annotations

import ssl


class SSLContext(ssl.SSLContext):
    """The context of Python: its settings have no effect."""


def inject_into_ssl() -> None: ...


def extract_from_ssl() -> None: ...

"""An HTTP response, as a client makes one of the links of an instance."""

from __future__ import annotations

from collections.abc import Mapping


class HttpResponse:
    """`azure.functions.HttpResponse`. Nothing here sends it: an activity reads it, or returns what it holds."""

    def __init__(
        self,
        body: str | bytes | None = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        mimetype: str = "text/plain",
        charset: str = "utf-8",
    ):
        self.status_code = int(status_code)
        self.headers = dict(headers or {})
        self.mimetype = mimetype
        self.charset = charset
        self._body = body.encode(charset) if isinstance(body, str) else body or b""

    def get_body(self) -> bytes:
        """The body, encoded."""
        return self._body

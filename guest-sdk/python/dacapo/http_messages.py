"""HTTP requests and responses, for clients and for tests of existing apps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class HttpRequest:
    """`azure.functions.HttpRequest`. Dacapo does not run HTTP triggers, so only tests make one."""

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        route_params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ):
        self.method = method
        self.url = url
        self.headers = dict(headers or {})
        self.params = dict(params or {})
        self.route_params = dict(route_params or {})
        self._body = body or b""

    def get_body(self) -> bytes:
        """The body, unchanged."""
        return self._body

    def get_json(self) -> Any:
        """Parses the body as JSON. Raises `ValueError` if it is not JSON."""
        return json.loads(self._body)


class HttpResponse:
    """`azure.functions.HttpResponse`. It is not sent: an activity reads it, or returns its contents."""

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

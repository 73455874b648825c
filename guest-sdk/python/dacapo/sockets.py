"""Sockets that pass HTTP requests to the host.

A guest has no sockets; the host sends HTTP requests for it, to the hosts that the operator allows. Python's HTTP
clients (`http.client`, `urllib`, `requests`, `urllib3`, `httpx.Client`) write requests to a socket and read responses from it. The
sockets here parse these requests and render the responses. `dacapo.connections` does the same for asyncio.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_HOP_BY_HOP = {"connection", "expect", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}


@dataclass(frozen=True)
class Request:
    method: str
    scheme: str
    authority: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


Transport = Callable[[Request], Response]
"""Sends a request. Raises `OSError` if there is no response."""


def install(transport: Transport) -> None:
    """Makes all connections of this process use these sockets."""
    socket.socket = type("socket", (HttpSocket,), {"transport": staticmethod(transport)})
    socket.getaddrinfo = _unresolved


def _unresolved(host: Any, port: Any, *_: Any, **__: Any) -> list[tuple]:
    """Returns a name as its own address, because the host resolves names."""
    name = host.decode() if isinstance(host, bytes) else host or "localhost"
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, int(port or 0)))]


class HttpSocket:
    """A connection for one HTTP/1.1 request and its response."""

    transport: Transport

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None):
        self.family, self.type, self.proto = family, type, proto
        self.scheme = "http"
        self._peer: tuple[str, int] = ("", 0)
        self._timeout: float | None = None
        self._sent = bytearray()
        self._response: io.BytesIO | None = None

    @classmethod
    def connected(cls, peer: tuple[str, int]) -> HttpSocket:
        connected = cls(socket.AF_INET, socket.SOCK_STREAM)
        connected.connect(peer)
        return connected

    def connect(self, address: tuple) -> None:
        self._peer = address[0], address[1]

    def sendall(self, data: Any) -> None:
        if self._response is not None:
            raise BrokenPipeError("the connection serves one request")
        self._sent += data

    def send(self, data: Any) -> int:
        self.sendall(data)
        return len(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self._answer().read(size)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer)
        return self._answer().readinto(view[:size] if size else view)

    def makefile(self, mode: str = "r", *_: Any, **__: Any) -> io.BytesIO:
        if mode != "rb":
            raise OSError("a guest's sockets carry HTTP only")
        return self._answer()

    def _answer(self) -> io.BytesIO:
        if self._response is None:
            request = parse(bytes(self._sent), self.scheme, self._peer)
            self._response = io.BytesIO(render(request, self.transport(request)))
        return self._response

    def bind(self, address: Any) -> None:
        raise OSError("a guest cannot listen")

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        return self._timeout

    def getpeername(self) -> tuple[str, int]:
        return self._peer

    def getsockname(self) -> tuple[str, int]:
        return "0.0.0.0", 0

    def setblocking(self, _: bool) -> None: ...

    def setsockopt(self, *_: Any) -> None: ...

    def shutdown(self, _: int) -> None: ...

    def close(self) -> None: ...

    def version(self) -> str:
        return "TLSv1.3"

    def selected_alpn_protocol(self) -> None:
        """None was selected, which means HTTP/1.1."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Empty: the host has checked the certificate, but does not provide it."""
        return b"" if binary_form else {}

    def __enter__(self) -> HttpSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse(sent: bytes, scheme: str, peer: tuple[str, int]) -> Request:
    """Parses the request that a client has written."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ", 2)
        headers = [(name.strip(), value.strip()) for name, value in (line.split(":", 1) for line in lines)]
    except ValueError:
        raise OSError("a guest's sockets carry HTTP only") from None
    coding = next((value for name, value in headers if name.lower() == "transfer-encoding"), "")
    if coding.lower() == "chunked":
        body = _unchunked(body)
    host, port = peer
    name = f"[{host}]" if ":" in host else host
    authority = name if port == {"http": 80, "https": 443}[scheme] else f"{name}:{port}"
    kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
    return Request(method, scheme, authority, target, kept, body)


def render(request: Request, response: Response) -> bytes:
    """Renders the response for the client. It is complete, so its length is known."""
    if request.method == "HEAD":
        return render_head(response.status, response.headers)
    others = [(name, value) for name, value in response.headers if name.lower() != "content-length"]
    length = ("content-length", str(len(response.body)))
    return render_head(response.status, [*others, length]) + response.body


def render_head(status: int, headers: list[tuple[str, str]]) -> bytes:
    """Renders the head of a response. The connection ends with the response, so its length need not be known."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {status} {reason}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _HOP_BY_HOP]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _unchunked(body: bytes) -> bytes:
    whole = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        whole += body[:length]
        body = body[length + 2 :]
    return bytes(whole)

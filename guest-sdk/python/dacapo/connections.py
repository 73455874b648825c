"""Connections of asyncio that pass HTTP requests to the host: `dacapo.sockets` for code that awaits.

`aiohttp`, `httpx.AsyncClient` and others write requests to a transport and are given the data of responses. A transport here
parses a request as it is written, has the host send it, and renders the response as it arrives. Requests of several connections
are under way at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dacapo.sockets import HttpSocket, Request, parse, render_head
from dacapo.tls import HELLO


class Exchange(Protocol):
    """A request that the host sends."""

    def advance(self) -> tuple[int, list[tuple[str, str]]] | bytes | None:
        """What has arrived: first the status and the headers, then parts of the body, and nothing at its end. Called when the
        wire has reported it. Raises `OSError` if there is no response, or no more of it."""

    def close(self) -> None:
        """Gives up the rest. May be called several times."""


class Wire(Protocol):
    """The host's HTTP."""

    def start(self, request: Request) -> Exchange: ...

    def wait(self, exchanges: Sequence[Exchange], seconds: float | None) -> list[Exchange]:
        """Blocks until something has arrived, at most for a time. Returns the exchanges that can advance."""


class Network:
    """The exchanges under way on one loop."""

    wire: Wire | None = None
    """The same for all loops. There is none in tests without a host."""

    def __init__(self) -> None:
        self._receivers: dict[Exchange, Callable[[], None]] = {}

    def start(self, request: Request, received: Callable[[], None]) -> Exchange:
        """Starts an exchange, and calls `received` whenever it can advance."""
        if self.wire is None:
            raise OSError("there is no host that sends HTTP requests")
        exchange = self.wire.start(request)
        self._receivers[exchange] = received
        return exchange

    def pause(self, exchange: Exchange) -> Callable[[], None] | None:
        return self._receivers.pop(exchange, None)

    def resume(self, exchange: Exchange, received: Callable[[], None]) -> None:
        self._receivers[exchange] = received

    def wait(self, seconds: float | None) -> bool:
        """Waits for at most this time. Returns false if nothing is under way."""
        if not self._receivers:
            return False
        for exchange in self.wire.wait(list(self._receivers), seconds):
            if received := self._receivers.get(exchange):
                received()
        return True

    def close(self) -> None:
        """Ends what is still under way."""
        for exchange in list(self._receivers):
            exchange.close()
        self._receivers.clear()


class HttpTransport(asyncio.Transport):
    """A connection for one HTTP/1.1 request and its response."""

    def __init__(
        self, loop: Any, network: Network, protocol: asyncio.BaseProtocol, peer: tuple[str, int], scheme: str = "http"
    ):
        socket = HttpSocket.connected(peer)
        super().__init__({"socket": socket, "peername": socket.getpeername(), "sockname": socket.getsockname()})
        self._loop, self._network, self._protocol, self._peer = loop, network, protocol, peer
        self.scheme = scheme
        self._sent = bytearray()
        self._request: Request | None = None
        self._exchange: Exchange | None = None
        self._paused: Callable[[], None] | None = None
        self._is_continued = self._is_closing = False

    # What clients call.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def write(self, data: Any) -> None:
        if self._is_closing:
            return
        if self._request is not None:
            self._fail(BrokenPipeError("the connection serves one request"))
            return
        self._sent += data
        if self._sent.startswith(HELLO):
            del self._sent[: len(HELLO)]
            self.scheme = "https"
        try:
            if is_whole(self._sent):
                self._send()
            elif not self._is_continued and _wants_to_continue(self._sent):
                self._is_continued = True
                self._loop.call_soon(self._receive, b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError as error:
            self._fail(error)

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None:
        if self._exchange is not None and self._paused is None:
            self._paused = self._network.pause(self._exchange)

    def resume_reading(self) -> None:
        if self._paused is not None:
            self._network.resume(self._exchange, self._paused)
            self._paused = None

    def is_reading(self) -> bool:
        return self._paused is None and not self._is_closing

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._end(None)

    abort = close

    # The exchange.

    def _send(self) -> None:
        self._request = parse(bytes(self._sent), self.scheme, self._peer)
        self._sent.clear()
        self._exchange = self._network.start(self._request, self._advance)

    def _advance(self) -> None:
        try:
            arrived = self._exchange.advance()
        except OSError as error:
            self._fail(error)
            return
        if arrived is None:
            self._finish()
        elif isinstance(arrived, bytes):
            self._receive(arrived)
        else:
            self._receive(render_head(*arrived))

    def _receive(self, data: bytes) -> None:
        if not data or self._is_closing:
            return
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            while data:
                buffer = self._protocol.get_buffer(len(data))
                size = min(len(buffer), len(data))
                buffer[:size] = data[:size]
                self._protocol.buffer_updated(size)
                data = data[size:]
        else:
            self._protocol.data_received(data)

    def _finish(self) -> None:
        self._drop()
        if not self._is_closing and not self._protocol.eof_received():
            self._end(None)

    def _fail(self, error: OSError) -> None:
        self._end(error)

    def _end(self, error: OSError | None) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._drop()
            self._loop.call_soon(self._protocol.connection_lost, error)

    def _drop(self) -> None:
        if self._exchange is not None:
            self._network.pause(self._exchange)
            self._exchange.close()


def is_whole(sent: bytes | bytearray) -> bool:
    """Whether this is a whole request. Raises `OSError` if it is not one of HTTP/1.1."""
    head, end, body = sent.partition(b"\r\n\r\n")
    if not end:
        return False
    headers = _headers(head)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _ends(body)
    try:
        return len(body) >= int(headers.get("content-length", 0))
    except ValueError:
        raise OSError("a guest's connections carry HTTP only") from None


def _headers(head: bytes | bytearray) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _ends(chunks: bytes | bytearray) -> bool:
    """Whether the last chunk is there."""
    at = 0
    while (end := chunks.find(b"\r\n", at)) >= 0:
        try:
            length = int(chunks[at:end].split(b";")[0], 16)
        except ValueError:
            raise OSError("a guest's connections carry HTTP only") from None
        if length == 0:
            return chunks.find(b"\r\n", end + 2) >= 0
        at = end + 2 + length + 2
    return False


def _wants_to_continue(sent: bytes | bytearray) -> bool:
    head, end, _ = sent.partition(b"\r\n\r\n")
    return bool(end) and _headers(head).get("expect", "").lower() == "100-continue"

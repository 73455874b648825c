"""HTTP requests through the host, over WASI."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from componentize_py_types import Err, Ok
from wit_world.imports import monotonic_clock, outgoing_handler, poll, streams
from wit_world.imports import wasi_http_types as http

from dacapo.sockets import Request, Response

_METHODS = {
    "GET": http.Method_Get,
    "HEAD": http.Method_Head,
    "POST": http.Method_Post,
    "PUT": http.Method_Put,
    "DELETE": http.Method_Delete,
    "OPTIONS": http.Method_Options,
    "TRACE": http.Method_Trace,
    "PATCH": http.Method_Patch,
}
_CHUNK = 4096
"""The maximum number of bytes of one blocking write in WASI."""


def send(request: Request) -> Response:
    """Sends a request and reads the whole response. Raises `OSError` if there is none."""
    url = f"{request.scheme}://{request.authority}{request.target}"
    try:
        return _exchange(request)
    except Err as error:
        raise OSError(f"{url}: {_name(error.value)}") from None


def _exchange(request: Request) -> Response:
    future = _handle(request)
    with future.subscribe() as ready:
        ready.block()
    return _read(_response(future))


def _handle(request: Request) -> http.FutureIncomingResponse:
    headers = http.Fields.from_list([(name, value.encode("latin-1")) for name, value in request.headers])
    outgoing = http.OutgoingRequest(headers)
    outgoing.set_method(_METHODS[request.method]() if request.method in _METHODS else http.Method_Other(request.method))
    outgoing.set_scheme(http.Scheme_Https() if request.scheme == "https" else http.Scheme_Http())
    outgoing.set_authority(request.authority)
    outgoing.set_path_with_query(request.target)
    body = outgoing.body()
    future = outgoing_handler.handle(outgoing, None)
    try:
        with body.write() as stream:
            for start in range(0, len(request.body), _CHUNK):
                stream.blocking_write_and_flush(request.body[start : start + _CHUNK])
        http.OutgoingBody.finish(body, None)
    except Err:
        pass  # the server does not read the body; the future has the result of the request
    return future


def _response(future: http.FutureIncomingResponse) -> http.IncomingResponse:
    """The response of a future that is ready."""
    match future.get():
        case Ok(Ok(response)):
            return response
        case Ok(Err() as error):
            raise error
        case other:
            raise AssertionError(f"a response that is ready is given once: {other!r}")


def _read(response: http.IncomingResponse) -> Response:
    headers = _headers(response)
    whole = bytearray()
    with response.consume() as body, body.stream() as stream:
        try:
            while True:
                whole += stream.blocking_read(65_536)
        except Err as end:
            if not isinstance(end.value, streams.StreamError_Closed):
                raise
    return Response(response.status(), headers, bytes(whole))


def _headers(response: http.IncomingResponse) -> list[tuple[str, str]]:
    with response.headers() as fields:
        return [(name, value.decode("latin-1")) for name, value in fields.entries()]


class Exchange:
    """`dacapo.connections.Exchange` on the imports of the component."""

    def __init__(self, request: Request):
        self._url = f"{request.scheme}://{request.authority}{request.target}"
        # What is made of another resource must be dropped before that.
        self._resources = ExitStack()
        self._stream: streams.InputStream | None = None
        try:
            self._future = self._resources.enter_context(_handle(request))
        except Err as error:
            raise OSError(f"{self._url}: {_name(error.value)}") from None
        self.ready = self._resources.enter_context(self._future.subscribe())

    def advance(self) -> tuple[int, list[tuple[str, str]]] | bytes | None:
        try:
            if self._stream is not None:
                return self._stream.read(65_536)
            response = _response(self._future)
        except Err as error:
            if isinstance(error.value, streams.StreamError_Closed):
                return None
            raise OSError(f"{self._url}: {_name(error.value)}") from None
        self._resources.enter_context(response)
        head = response.status(), _headers(response)
        body = self._resources.enter_context(response.consume())
        self._stream = self._resources.enter_context(body.stream())
        self.ready = self._resources.enter_context(self._stream.subscribe())
        return head

    def close(self) -> None:
        self._resources.close()


class Wire:
    """`dacapo.connections.Wire` on the imports of the component."""

    start = staticmethod(Exchange)

    def wait(self, exchanges: Sequence[Exchange], seconds: float | None) -> list[Exchange]:
        with ExitStack() as stack:
            waited = [exchange.ready for exchange in exchanges]
            if seconds is not None:
                nanoseconds = int(max(0.0, seconds) * 1e9)
                waited.append(stack.enter_context(monotonic_clock.subscribe_duration(nanoseconds)))
            ready = poll.poll(waited)
        return [exchanges[index] for index in ready if index < len(exchanges)]


def _name(error: object) -> str:
    """The name of WASI's error code, such as `HttpRequestDenied`, with the host's message."""
    name = type(error).__name__.partition("_")[2] or "Refused"
    value = getattr(error, "value", None)
    return name if value is None else f"{name}: {value}"

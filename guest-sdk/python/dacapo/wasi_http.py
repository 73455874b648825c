"""HTTP requests through the host, over WASI."""

from __future__ import annotations

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler, streams
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
    with future.subscribe() as ready:
        ready.block()
    match future.get():
        case Ok(Ok(response)):
            return _read(response)
        case Ok(Err() as error):
            raise error
        case other:
            raise AssertionError(f"a response that is ready is given once: {other!r}")


def _read(response: http.IncomingResponse) -> Response:
    headers = [(name, value.decode("latin-1")) for name, value in response.headers().entries()]
    whole = bytearray()
    with response.consume() as body, body.stream() as stream:
        try:
            while True:
                whole += stream.blocking_read(65_536)
        except Err as end:
            if not isinstance(end.value, streams.StreamError_Closed):
                raise
    return Response(response.status(), headers, bytes(whole))


def _name(error: object) -> str:
    """The name of WASI's error code, such as `HttpRequestDenied`, with the host's message."""
    name = type(error).__name__.partition("_")[2] or "Refused"
    value = getattr(error, "value", None)
    return name if value is None else f"{name}: {value}"

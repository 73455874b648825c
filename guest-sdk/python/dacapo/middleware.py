"""Web apps with the interface WSGI or ASGI, as functions of an HTTP trigger."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from dacapo.app import AuthLevel, DFApp, HttpMethod
from dacapo.calls import Context
from dacapo.http_messages import HttpRequest, HttpResponse

_PORTS = {"http": 80, "https": 443}
_OF_CALL = (
    "function_directory",
    "function_name",
    "invocation_id",
    "thread_local_storage",
    "trace_context",
    "retry_context",
)


def _of_call(context: Context | None) -> dict[str, Any]:
    """What a web app can know about the call, under the names of the original."""
    return {} if context is None else {f"azure_functions.{name}": getattr(context, name) for name in _OF_CALL}


def _response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResponse:
    response = HttpResponse(body, status_code=status, mimetype="application/octet-stream")
    for name, value in headers:
        response.headers.add(name, value)
    return response


class WsgiMiddleware:
    """Runs a WSGI app: `main = func.WsgiMiddleware(app).main`."""

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self._app = app

    def handle(self, req: HttpRequest, context: Context | None = None) -> HttpResponse:
        """Answers a request with the response of the app."""
        started: list[tuple[int, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
            started.append((int(status.split()[0]), headers))
            return written.append

        chunks = self._app(_environ(req, context), start_response)
        try:
            body = b"".join([*chunks])
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if not started:
            raise RuntimeError("the WSGI app has sent no response")
        status, headers = started[-1]
        return _response(status, headers, b"".join(written) + body)

    def main(self, req: HttpRequest, context: Context) -> HttpResponse:
        """The function of an HTTP trigger."""
        return self.handle(req, context)


def _environ(req: HttpRequest, context: Context | None) -> dict[str, Any]:
    url, body = urlsplit(req.url), req.get_body()
    return {
        "REQUEST_METHOD": req.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query,
        "CONTENT_TYPE": req.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": url.hostname or "localhost",
        "SERVER_PORT": str(url.port or _PORTS.get(url.scheme, 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme or "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in req.headers.items()},
        **_of_call(context),
    }


class AsgiMiddleware:
    """Runs an ASGI app: `return await func.AsgiMiddleware(app).handle_async(req, context)`."""

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self._app = app

    async def handle_async(self, req: HttpRequest, context: Context | None = None) -> HttpResponse:
        """Answers a request with the response of the app."""
        return await self._handle(req, context, {})

    async def main(self, req: HttpRequest, context: Context) -> HttpResponse:
        """The function of an HTTP trigger."""
        return await self.handle_async(req, context)

    async def handle_alone(self, req: HttpRequest, context: Context | None = None) -> HttpResponse:
        """Starts up the app, answers a request, and shuts down the app: each call has an instance of its own."""
        state: dict[str, Any] = {}
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": _VERSION, "state": state}
        life = asyncio.create_task(self._live(scope, incoming, outgoing))
        await incoming.put({"type": "lifespan.startup"})
        started = await outgoing.get()
        if started["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"the ASGI app cannot start up: {started.get('message', '')}")
        response = await self._handle(req, context, state)
        await incoming.put({"type": "lifespan.shutdown"})
        await life
        return response

    async def _live(self, scope: dict[str, Any], incoming: asyncio.Queue, outgoing: asyncio.Queue) -> None:
        try:
            await self._app(scope, incoming.get, outgoing.put)
        except Exception:
            pass  # as the specification wants: an app without this protocol raises
        await outgoing.put({"type": "none"})

    async def _handle(self, req: HttpRequest, context: Context | None, state: dict[str, Any]) -> HttpResponse:
        started: dict[str, Any] = {}
        body: list[bytes] = []
        messages = [{"type": "http.request", "body": req.get_body(), "more_body": False}]
        ended = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message["type"] == "http.response.body":
                body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    ended.set()

        await self._app(_scope(req, context, state), receive, send)
        if not started:
            raise RuntimeError("the ASGI app has sent no response")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in started.get("headers", ())]
        return _response(started["status"], headers, b"".join(body))


_VERSION = {"version": "3.0", "spec_version": "2.1"}


def _scope(req: HttpRequest, context: Context | None, state: dict[str, Any]) -> dict[str, Any]:
    url = urlsplit(req.url)
    return {
        "type": "http",
        "asgi": _VERSION,
        "http_version": "1.1",
        "method": req.method,
        "scheme": url.scheme or "http",
        "path": unquote_to_bytes(url.path).decode(errors="replace"),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in req.headers.items()],
        "server": (url.hostname or "localhost", url.port or _PORTS.get(url.scheme, 80)),
        "client": None,
        "state": dict(state),
        **_of_call(context),
    }


class _WebApp(DFApp):
    """An app with one function, for all requests."""

    def _add(self, handle: Callable, name: str) -> None:
        self.function_name(name)(self.route(route="{*route}", methods=list(HttpMethod))(handle))


class WsgiFunctionApp(_WebApp):
    """A function app made of a WSGI app."""

    def __init__(
        self, app: Any, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION, function_name: str = "http_app_func"
    ):
        super().__init__(http_auth_level)
        middleware = WsgiMiddleware(app)

        def handle(req: HttpRequest, context: Context) -> HttpResponse:
            return middleware.handle(req, context)

        self._add(handle, function_name)


class AsgiFunctionApp(_WebApp):
    """A function app made of an ASGI app."""

    def __init__(
        self, app: Any, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION, function_name: str = "http_app_func"
    ):
        super().__init__(http_auth_level)
        middleware = AsgiMiddleware(app)

        async def handle(req: HttpRequest, context: Context) -> HttpResponse:
            return await middleware.handle_alone(req, context)

        self._add(handle, function_name)

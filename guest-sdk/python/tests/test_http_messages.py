"""HTTP requests and responses, as tests of existing apps make and read them."""

import asyncio
import http
import json
import unittest

import azure.functions as func


def form(content_type, body):
    return func.HttpRequest("POST", "/", headers={"Content-Type": content_type}, body=body)


class Requests(unittest.TestCase):
    def test_members(self):
        request = func.HttpRequest(
            "get",
            "http://h/api/x?a=1",
            headers={"X-Key": "k"},
            params={"a": "1"},
            route_params={"id": "7"},
            body='{"a": [1]}'.encode(),
        )
        self.assertEqual((request.method, request.url), ("GET", "http://h/api/x?a=1"))
        self.assertEqual((request.params["a"], request.route_params.get("id")), ("1", "7"))
        self.assertEqual(request.get_json(), {"a": [1]})
        self.assertEqual(request.headers["x-KEY"], "k")
        self.assertIn("X-KEY", request.headers)
        self.assertEqual(dict(request.headers), {"x-key": "k"})
        self.assertIsNone(request.headers.get("other"))
        with self.assertRaises(TypeError):
            request.params["a"] = "2"

    def test_what_is_no_json_is_a_value_error(self):
        deep = b"[" * 2000 + b"]" * 2000
        for body in (b"", b"{", b"\xff", deep):
            with self.assertRaises(ValueError):
                func.HttpRequest("POST", "/", body=body).get_json()

    def test_a_form_in_the_body(self):
        request = form("application/x-www-form-urlencoded; charset=utf-8", "a=1&a=2&b=%C3%A4+x&c=".encode())
        self.assertEqual(dict(request.form), {"a": "1", "b": "ä x", "c": ""})
        self.assertEqual(request.form.getlist("a"), ["1", "2"])
        self.assertEqual(list(request.form.items(multi=True))[:2], [("a", "1"), ("a", "2")])
        self.assertEqual((request.form.get("d"), dict(request.files)), (None, {}))

    def test_a_form_with_files(self):
        parts = [
            b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\na "t\xc3\xa4xt"\r\n',
            b'--x\r\nContent-Disposition: form-data; name="doc"; filename="a b.bin"\r\n',
            b"Content-Type: application/octet-stream; a=b\r\n\r\n\x00\xff\r\n--xy\r\n\r\n",
            b'--x\r\nContent-Disposition: form-data; name="doc"; filename=""\r\n\r\n\r\n',
            b"--x\r\n\r\nno name\r\n--x--\r\nepilogue",
        ]
        request = form('multipart/form-data; boundary="x"', b"preamble\r\n" + b"".join(parts))
        self.assertEqual(dict(request.form), {"title": 'a "täxt"'})
        file = request.files["doc"]
        self.assertEqual((file.name, file.filename, file.mimetype), ("doc", "a b.bin", "application/octet-stream"))
        self.assertEqual((file.content_length, file.stream.read()), (10, b"\x00\xff\r\n--xy\r\n"))
        self.assertEqual([len(file.getvalue()) for file in request.files.getlist("doc")], [10, 0])

    def test_another_body_has_no_form(self):
        for content_type in ("application/json", "", "multipart/form-data"):
            request = form(content_type, b"a=1")
            self.assertEqual((dict(request.form), dict(request.files)), ({}, {}))


class Responses(unittest.TestCase):
    def test_members(self):
        response = func.HttpResponse("ä", status_code=http.HTTPStatus.CREATED, headers={"X-A": "1"})
        self.assertEqual((response.status_code, response.get_body()), (201, "ä".encode()))
        self.assertEqual((response.mimetype, response.charset), ("text/plain", "utf-8"))
        self.assertEqual(func.HttpResponse("ä", charset="latin-1").get_body(), b"\xe4")
        self.assertEqual((func.HttpResponse().get_body(), func.HttpResponse().status_code), (b"", 200))
        self.assertEqual(func.HttpResponse(bytearray(b"a")).get_body(), b"a")
        with self.assertRaisesRegex(TypeError, "must be a str or bytes, not dict"):
            func.HttpResponse({"a": 1})

    def test_headers(self):
        headers = func.HttpResponse(headers={"X-A": "1"}).headers
        headers["x-b"] = "2"
        headers.add("Set-Cookie", "a=1")
        headers.add_header("set-cookie", "b=2")
        self.assertEqual((headers["x-a"], headers.get("X-B"), headers.get("x-c")), ("1", "2", None))
        self.assertEqual((headers.getlist("Set-Cookie"), headers["Set-Cookie"]), (["a=1", "b=2"], "a=1"))
        self.assertEqual(headers.items()[0], ("X-A", "1"))
        headers.set("SET-COOKIE", "c=3")
        self.assertEqual(headers.get_all("Set-Cookie"), ["c=3"])
        del headers["x-a"]
        self.assertEqual(dict(headers), {"x-b": "2", "SET-COOKIE": "c=3"})
        self.assertEqual((headers.pop("x-b"), headers.setdefault("x-d", "4"), len(headers)), ("2", "4", 2))
        with self.assertRaises(KeyError):
            headers["x-a"]


class WebApps(unittest.TestCase):
    REQUEST = func.HttpRequest(
        "POST", "https://h.org/api/a%20b?c=d", headers={"Content-Type": "text/plain", "X-Key": "k"}, body=b"body"
    )

    def test_a_wsgi_app(self):
        def app(environ, start_response):
            start_response("201 Created", [("Content-Type", "text/html"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            named = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "HTTP_X_KEY")
            yield json.dumps([environ[name] for name in named]).encode()
            yield body

        response = func.WsgiMiddleware(app).main(self.REQUEST, None)
        self.assertEqual((response.status_code, response.headers["content-type"]), (201, "text/html"))
        self.assertEqual(response.headers.getlist("Set-Cookie"), ["a", "b"])
        expected = b'["POST", "/api/a b", "c=d", "h.org", "443", "k"]body'
        self.assertEqual(response.get_body(), expected)

    def test_a_web_app_without_a_response(self):
        with self.assertRaisesRegex(RuntimeError, "the WSGI app has sent no response"):
            func.WsgiMiddleware(lambda environ, start_response: []).handle(self.REQUEST)

        async def asgi(scope, receive, send): ...

        with self.assertRaisesRegex(RuntimeError, "the ASGI app has sent no response"):
            asyncio.run(func.AsgiMiddleware(asgi).handle_async(self.REQUEST))

    def test_an_asgi_app(self):
        from dacapo.testing import run_trigger

        async def app(scope, receive, send):
            self.assertEqual((scope["type"], scope["path"], scope["query_string"]), ("http", "/api/a b", b"c=d"))
            self.assertIn((b"x-key", b"k"), scope["headers"])
            message = await receive()
            await send({"type": "http.response.start", "status": 202, "headers": [(b"x-a", b"1")]})
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})
            await send({"type": "http.response.body", "body": b"!"})
            self.assertEqual((await receive())["type"], "http.disconnect")

        async def main(req: func.HttpRequest, context: func.Context):
            return await func.AsgiMiddleware(app).handle_async(req, context)

        response = run_trigger(main, self.REQUEST).response
        self.assertEqual((response.status_code, response.get_body(), response.headers["x-a"]), (202, b"body!", "1"))

    def test_function_apps_of_web_apps(self):
        from dacapo.testing import run_trigger

        async def asgi(scope, receive, send):
            if scope["type"] == "lifespan":
                self.assertEqual((await receive())["type"], "lifespan.startup")
                scope["state"]["greeting"] = b"hello"
                await send({"type": "lifespan.startup.complete"})
                self.assertEqual((await receive())["type"], "lifespan.shutdown")
                seen.append("shut down")
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": scope["state"]["greeting"]})

        async def without_lifespan(scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        def wsgi(environ, start_response):
            start_response("200 OK", [])
            return [environ["azure_functions.function_name"].encode()]

        seen = []
        for app, expected in (
            (func.AsgiFunctionApp(asgi, function_name="web"), (200, b"hello")),
            (func.AsgiFunctionApp(without_lifespan), (204, b"")),
            (func.WsgiFunctionApp(wsgi, func.AuthLevel.ANONYMOUS), (200, b"http_app_func")),
        ):
            (function,) = app.get_functions()
            response = run_trigger(function, self.REQUEST).response
            self.assertEqual((response.status_code, response.get_body()), expected)
        self.assertEqual(seen, ["shut down"])
        (declaration,) = func.WsgiFunctionApp(wsgi, func.AuthLevel.ANONYMOUS).declarations()
        self.assertEqual(
            (
                declaration.bindings[0]["route"],
                declaration.bindings[0]["authLevel"],
                len(declaration.bindings[0]["methods"]),
            ),
            ("{*route}", "anonymous", 7),
        )

    def test_an_asgi_app_that_cannot_start_up(self):
        from dacapo.failure import Failure
        from dacapo.testing import run_trigger

        async def asgi(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        (function,) = func.AsgiFunctionApp(asgi).get_functions()
        with self.assertRaisesRegex(Failure, "the ASGI app cannot start up: no database"):
            run_trigger(function, self.REQUEST)


if __name__ == "__main__":
    unittest.main()

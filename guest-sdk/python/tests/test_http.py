"""HTTP clients on sockets whose requests the host sends."""

import http.client
import unittest

from dacapo.sockets import HttpSocket, Request, Response, parse


class Sockets(unittest.TestCase):
    def connection(self, answer, port=8080):
        self.requests = []

        def transport(request):
            self.requests.append(request)
            return answer

        kind = type("socket", (HttpSocket,), {"transport": staticmethod(transport)})
        connection = http.client.HTTPConnection("api.example.org", port)
        connection.sock = kind()
        connection.sock.connect(("api.example.org", port))
        return connection

    def test_a_request_and_its_response(self):
        connection = self.connection(Response(201, [("x-id", "7"), ("transfer-encoding", "chunked")], b"made"))
        connection.request("POST", "/orders?a=b", body=b"{}", headers={"X-Key": "k"})
        response = connection.getresponse()
        self.assertEqual((response.status, response.reason, response.read()), (201, "Created", b"made"))
        self.assertEqual(response.headers["x-id"], "7")
        (request,) = self.requests
        self.assertEqual(
            (request.method, request.authority, request.target), ("POST", "api.example.org:8080", "/orders?a=b")
        )
        self.assertEqual((request.scheme, request.body), ("http", b"{}"))
        self.assertIn(("X-Key", "k"), request.headers)
        self.assertNotIn("host", [name.lower() for name, _ in request.headers])

    def test_a_body_in_chunks(self):
        connection = self.connection(Response(204, [], b""), port=80)
        connection.request("PUT", "/", body=iter([b"ab", b"", b"cde"]), encode_chunked=True)
        self.assertEqual(connection.getresponse().status, 204)
        self.assertEqual((self.requests[0].body, self.requests[0].authority), (b"abcde", "api.example.org"))

    def test_the_length_that_head_tells_stays(self):
        connection = self.connection(Response(200, [("content-length", "9000")], b""))
        connection.request("HEAD", "/")
        response = connection.getresponse()
        self.assertEqual((response.headers["content-length"], response.read()), ("9000", b""))

    def test_what_is_no_http(self):
        with self.assertRaisesRegex(OSError, "carry HTTP only"):
            parse(b"EHLO me\r\n\r\n", "http", ("mail", 25))

    def test_an_address_in_brackets(self):
        request = parse(b"GET / HTTP/1.1\r\n\r\n", "https", ("::1", 443))
        self.assertEqual(request, Request("GET", "https", "[::1]", "/", [], b""))


if __name__ == "__main__":
    unittest.main()

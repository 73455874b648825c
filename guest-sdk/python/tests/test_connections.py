"""Requests of asyncio clients: what they write becomes a request for the host, and what it answers is what they read."""

import asyncio
import unittest
from unittest import mock

from dacapo import sockets, tls
from dacapo.connections import Network, is_whole
from dacapo.event_loop import ActivityEventLoop


class FakeExchange:
    def __init__(self, request, parts):
        self.request, self.parts, self.is_closed = request, list(parts), False

    def advance(self):
        part = self.parts.pop(0) if self.parts else None
        if isinstance(part, OSError):
            raise part
        return part

    def close(self):
        self.is_closed = True


class FakeWire:
    """Answers the exchanges that wait in turns, each with the next part."""

    def __init__(self, *parts):
        self.parts, self.exchanges = parts, []

    def start(self, request):
        self.exchanges.append(FakeExchange(request, self.parts))
        return self.exchanges[-1]

    def wait(self, exchanges, seconds):
        return list(exchanges)


class Connections(unittest.TestCase):
    def run_with(self, wire, function):
        with (
            mock.patch.object(Network, "wire", wire),
            mock.patch.object(sockets.socket, "getaddrinfo", sockets._unresolved),
        ):
            return ActivityEventLoop().run_until_complete(function())

    def test_a_request_and_its_response_in_parts(self):
        async def exchange():
            reader, writer = await asyncio.open_connection("example.org", 443, ssl=True)
            writer.write(b"POST /a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\n")
            self.assertEqual(wire.exchanges, [])
            writer.write(b"hello")
            read = await reader.read()
            writer.close()
            await writer.wait_closed()
            return read

        wire = FakeWire((201, [("x-a", "b")]), b"one", b"", b"two")
        read = self.run_with(wire, exchange)
        self.assertEqual(read, b"HTTP/1.1 201 Created\r\nconnection: close\r\nx-a: b\r\n\r\nonetwo")
        request = wire.exchanges[0].request
        self.assertEqual((request.method, request.scheme, request.authority), ("POST", "https", "example.org"))
        self.assertEqual((request.target, request.body), ("/a?b", b"hello"))
        self.assertTrue(wire.exchanges[0].is_closed)

    def test_tls_over_a_buffer_tells_the_connection(self):
        incoming, outgoing = tls.MemoryBIO(), tls.MemoryBIO()
        secured = tls.create_default_context().wrap_bio(incoming, outgoing)
        secured.do_handshake()
        secured.write(b"GET / HTTP/1.1\r\n\r\n")
        with self.assertRaises(tls.SSLWantReadError):
            secured.read(10)

        async def exchange():
            reader, writer = await asyncio.open_connection("example.org", 8443)
            writer.write(outgoing.read())
            incoming.write(await reader.read())
            incoming.write_eof()
            return secured.read(8)

        wire = FakeWire((200, []))
        self.assertEqual(self.run_with(wire, exchange), b"HTTP/1.1")
        self.assertEqual(wire.exchanges[0].request.authority, "example.org:8443")
        self.assertEqual(wire.exchanges[0].request.scheme, "https")

    def test_what_fails_is_raised_where_it_is_read(self):
        async def exchange():
            reader, writer = await asyncio.open_connection("example.org", 80)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.read()

        with self.assertRaisesRegex(OSError, "HttpRequestDenied"):
            self.run_with(FakeWire(OSError("http://example.org/: HttpRequestDenied")), exchange)

    def test_an_exchange_that_nobody_awaits_is_given_up(self):
        async def exchange():
            _, writer = await asyncio.open_connection("example.org", 80)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")

        wire = FakeWire()
        self.run_with(wire, exchange)
        self.assertTrue(wire.exchanges[0].is_closed)

    def test_a_client_that_waits_to_continue_is_told_to(self):
        async def exchange():
            reader, writer = await asyncio.open_connection("example.org", 80)
            writer.write(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            first = await reader.readline()
            writer.write(b"x")
            return first, (await reader.read())[:17]

        first, rest = self.run_with(FakeWire((200, [])), exchange)
        self.assertEqual((first, rest), (b"HTTP/1.1 100 Continue\r\n", b"\r\nHTTP/1.1 200 OK"))

    def test_the_end_of_a_request(self):
        head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        for whole, sent in (
            (False, b"GET / HTTP/1.1\r\n"),
            (True, b"GET / HTTP/1.1\r\n\r\n"),
            (False, head + b"3\r\nabc\r\n"),
            (False, head + b"3\r\nabc\r\n0\r\n"),
            (True, head + b"3\r\nabc\r\n0\r\n\r\n"),
        ):
            self.assertEqual(is_whole(sent), whole, sent)
        with self.assertRaises(OSError):
            is_whole(head + b"zz\r\n")


class OwnLoops(unittest.TestCase):
    def test_a_thread_is_a_call(self):
        async def main():
            return await asyncio.to_thread(lambda: 5)

        self.assertEqual(ActivityEventLoop().run_until_complete(main()), 5)

    def test_asyncio_run_makes_one(self):
        async def main():
            await asyncio.sleep(0)
            return type(asyncio.get_running_loop()).__name__

        with mock.patch.object(asyncio.events, "_event_loop_policy", None):
            from dacapo import event_loop

            event_loop.install()
            self.assertEqual(asyncio.run(main()), "ActivityEventLoop")


if __name__ == "__main__":
    unittest.main()

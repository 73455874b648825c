"""Event loops for asyncio on the host.

asyncio's own futures, tasks, `gather`, `wait_for`, `timeout`, queues and locks need only a loop that runs the ready
handles, in order, and waits until the next one becomes ready: when the next durable task completes (in an
orchestrator), at the next timer (in an activity), or never (in an entity).
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dacapo.connections import HttpTransport, Network
from dacapo.failure import nothing_to_wait_for
from dacapo.source import where
from dacapo.task import TimerTask, create_timer
from dacapo.waiting import Waits

if TYPE_CHECKING:
    from dacapo.execution import Execution


class GuestEventLoop(asyncio.AbstractEventLoop):
    """The loop of an entity, which has nothing to wait for."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self.waits = Waits()

    def run_until_complete(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        root = self.create_task(coroutine)
        asyncio._set_running_loop(self)
        try:
            while not root.done():
                if self._ready:
                    handle = self._ready.popleft()
                    if not handle.cancelled():
                        handle._run()
                elif not self._wake_next():
                    raise nothing_to_wait_for(where(root.get_stack()))
        finally:
            asyncio._set_running_loop(None)
        return root.result()

    def _wake_next(self) -> bool:
        """Waits until a handle becomes ready. Returns false if none ever will."""
        return False

    # The methods that asyncio calls.

    def call_soon(self, callback: Callable, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        raise RuntimeError("an entity cannot sleep: its operations must not wait")

    def create_future(self) -> asyncio.Future:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task:
        """Accepts any awaitable, so that `asyncio.create_task` and `TaskGroup` accept durable tasks."""
        task = asyncio.Task(coro if asyncio.iscoroutine(coro) else _await(coro), loop=self, **options)
        # Suppresses the warnings about tasks that are still pending when the function returns.
        task._log_destroy_pending = False
        return task

    def time(self) -> float:
        return time.monotonic()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        logging.getLogger("asyncio").error(context.get("message"), exc_info=context.get("exception"))

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Does nothing: a cancelled handle is skipped when it is due."""

    def run_in_executor(self, executor: Any, func: Callable, *args: Any) -> Any:
        raise RuntimeError("a guest has no threads: an orchestrator calls an activity, an activity calls the function")

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        raise OSError(_NO_NETWORK)

    async def create_connection(self, *_: Any, **__: Any) -> Any:
        raise OSError(_NO_NETWORK)


_NO_NETWORK = "an orchestrator or entity has no network: an activity sends requests, and so does `context.call_http`"


async def _await(awaitable: Any) -> Any:
    return await awaitable


class DurableEventLoop(GuestEventLoop):
    """The loop of an orchestrator: it sleeps on durable timers, and wakes when a durable task completes."""

    def __init__(self, execution: Execution):
        super().__init__()
        self._execution = execution

    def _wake_next(self) -> bool:
        return self._execution.complete_next()

    def time(self) -> float:
        return self._execution.host.current_time().timestamp()

    def call_at(
        self, when: float, callback: Callable, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = create_timer(self._execution, datetime.fromtimestamp(when, timezone.utc))
        handle = _DurableTimerHandle(when, callback, args, self, context, timer)
        timer.when_completed(lambda _: self._ready.append(handle))
        timer.start()
        return handle

    def _timer_handle_cancelled(self, handle: _DurableTimerHandle) -> None:
        if not handle.timer.is_completed:
            handle.timer.cancel()


class _DurableTimerHandle(asyncio.TimerHandle):
    __slots__ = ("timer",)

    def __init__(
        self,
        when: float,
        callback: Callable,
        args: tuple,
        loop: DurableEventLoop,
        context: contextvars.Context | None,
        timer: TimerTask,
    ):
        super().__init__(when, callback, args, loop, context)
        self.timer = timer


class ActivityEventLoop(GuestEventLoop):
    """The loop of an activity, which sleeps in real time, and whose connections are HTTP requests of the host."""

    def __init__(self) -> None:
        super().__init__()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._network = Network()

    def run_until_complete(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            return super().run_until_complete(coroutine)
        finally:
            self._network.close()

    def _wake_next(self) -> bool:
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            return self._network.wait(None)
        seconds = max(0.0, self._timers[0][0] - self.time())
        if not self._network.wait(seconds):
            time.sleep(seconds)
        while self._timers and self._timers[0][0] <= self.time():
            self._ready.append(heapq.heappop(self._timers)[2])
        return True

    def call_at(
        self, when: float, callback: Callable, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1  # timers that are due at the same time fire in the order in which they were made
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def run_in_executor(self, executor: Any, func: Callable, *args: Any) -> asyncio.Future:
        """Calls the function at once: a guest has no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    # Connections.

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[tuple]:
        return socket.getaddrinfo(host, port)

    async def sock_connect(self, sock: Any, address: tuple) -> None:
        sock.connect(address)

    async def create_connection(
        self, protocol_factory: Callable, host: Any = None, port: Any = None, *, ssl: Any = None, sock: Any = None, **_: Any
    ) -> tuple[HttpTransport, asyncio.BaseProtocol]:
        if sock is not None:
            host, port = sock.getpeername()
        protocol = protocol_factory()
        transport = HttpTransport(self, self._network, protocol, (host, port), "https" if ssl else "http")
        protocol.connection_made(transport)
        return transport, protocol

    async def start_tls(self, transport: HttpTransport, protocol: asyncio.BaseProtocol, *_: Any, **__: Any) -> HttpTransport:
        transport.scheme = "https"
        transport.set_protocol(protocol)
        return transport

    # What `asyncio.run` calls of a loop that it has made.

    def set_debug(self, enabled: bool) -> None: ...

    def close(self) -> None: ...

    async def shutdown_asyncgens(self) -> None: ...

    async def shutdown_default_executor(self, timeout: float | None = None) -> None: ...

    def set_task_factory(self, factory: Any) -> None: ...

    def get_task_factory(self) -> None: ...

    def set_exception_handler(self, handler: Any) -> None: ...


def install() -> None:
    """Makes asyncio's own loops, such as those of `asyncio.run`, those of activities."""
    asyncio.events._event_loop_policy = _Policy()


class _Policy:
    """The policy of asyncio. Its classes have other names in each version of Python."""

    _current: ActivityEventLoop | None = None

    def get_event_loop(self) -> ActivityEventLoop:
        self._current = self._current or self.new_event_loop()
        return self._current

    def set_event_loop(self, loop: Any) -> None:
        self._current = loop

    def new_event_loop(self) -> ActivityEventLoop:
        return ActivityEventLoop()

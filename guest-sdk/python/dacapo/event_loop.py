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
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

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


_NO_NETWORK = "a guest's asyncio has no network: urllib, requests and httpx.Client work, in activities"


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
    """The loop of an activity, which sleeps in real time."""

    def __init__(self) -> None:
        super().__init__()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0

    def _wake_next(self) -> bool:
        while self._timers:
            when, _, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                time.sleep(max(0.0, when - self.time()))
                self._ready.append(handle)
                return True
        return False

    def call_at(
        self, when: float, callback: Callable, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1  # timers that are due at the same time fire in the order in which they were made
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

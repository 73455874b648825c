"""A faster `asyncio.wait`, for code that takes the results of many futures as they arrive.

Such code waits for all remaining futures, again and again. asyncio's own `wait` adds a callback to each of them each
time: about a million for a thousand futures. Here each future has one callback, and fast built-in loops do the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from operator import methodcaller
from typing import Any

_its_own = asyncio.wait
_is_done = methodcaller("done")


class Waits:
    """The waits for the first of several futures, on one loop."""

    def __init__(self) -> None:
        self._observed: set[asyncio.Future] = set()
        """The futures that have a callback."""
        self._open: dict[asyncio.Future, set[asyncio.Future]] = {}
        """The futures of each open wait, by the future that wakes it."""

    def can_take(self, futures: set[Any]) -> bool:
        """Whether it can wait for them: all are futures."""
        return all(map(asyncio.isfuture, futures - self._observed))

    async def first_of(self, futures: set[asyncio.Future], timeout: float | None) -> tuple[set, set]:
        """Waits until a future is done, with a timeout. Returns the futures that are done, and those that are not."""
        loop = asyncio.get_running_loop()
        for future in futures - self._observed:
            future.add_done_callback(self._done)
            self._observed.add(future)
        waiter = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, _wake, waiter)
        self._open[waiter] = futures
        try:
            await waiter
        finally:
            del self._open[waiter]
            if timer is not None:
                timer.cancel()
        done = set(filter(_is_done, futures))
        return done, futures - done

    def _done(self, future: asyncio.Future) -> None:
        self._observed.discard(future)
        for waiter in [waiter for waiter, futures in self._open.items() if future in futures]:
            _wake(waiter)


def _wake(waiter: asyncio.Future) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def wait(
    fs: Iterable[Any], *, timeout: float | None = None, return_when: str = asyncio.ALL_COMPLETED
) -> tuple[set, set]:
    """Like `wait` of asyncio, which it calls in all other cases and for invalid arguments."""
    waits = getattr(asyncio.get_running_loop(), "waits", None)
    is_one = asyncio.isfuture(fs) or asyncio.iscoroutine(fs)
    if waits is None or is_one or return_when != asyncio.FIRST_COMPLETED:
        return await _its_own(fs, timeout=timeout, return_when=return_when)
    futures = set(fs)
    if not futures or not waits.can_take(futures):
        return await _its_own(futures, timeout=timeout, return_when=return_when)
    return await waits.first_of(futures, timeout)


def install() -> None:
    """Replaces `wait` of asyncio."""
    asyncio.wait = asyncio.tasks.wait = wait

"""`asyncio.wait`, for whoever takes the results of many as they come.

That waits for all that are left, each time. asyncio's own has each of them call back anew: a thousand of them, a million times. Here
each calls back once, however many waits it takes part in, and what a wait costs for each is done by loops of the interpreter's own.
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
        """Those that call back when they are done."""
        self._open: dict[asyncio.Future, set[asyncio.Future]] = {}
        """What each wait is for, by what wakes it."""

    def can_take(self, futures: set[Any]) -> bool:
        """Whether it can wait for them: all are futures."""
        return all(map(asyncio.isfuture, futures - self._observed))

    async def first_of(self, futures: set[asyncio.Future], timeout: float | None) -> tuple[set, set]:
        """Waits until one of them is done, or the time is up. Gives those that are done, and those that are not."""
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
    """As that of asyncio, which does all else and says what is wrong."""
    waits = getattr(asyncio.get_running_loop(), "waits", None)
    is_one = asyncio.isfuture(fs) or asyncio.iscoroutine(fs)
    if waits is None or is_one or return_when != asyncio.FIRST_COMPLETED:
        return await _its_own(fs, timeout=timeout, return_when=return_when)
    futures = set(fs)
    if not futures or not waits.can_take(futures):
        return await _its_own(futures, timeout=timeout, return_when=return_when)
    return await waits.first_of(futures, timeout)


def install() -> None:
    """From now on it is that of asyncio."""
    asyncio.wait = asyncio.tasks.wait = wait

"""Tasks: what an orchestrator yields or awaits."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Generator, Iterable
from datetime import datetime, timezone
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dacapo import border
from dacapo.action import Action, CreateTimer, WaitForExternalEvent
from dacapo.failure import Failure
from dacapo.host import Handle

if TYPE_CHECKING:
    from dacapo.execution import Execution


class TaskState(enum.Enum):
    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2


class TaskBase:
    """Something that completes once. Nothing happens before it is yielded, awaited or started.

    It may be yielded, awaited and put into `task_all` and `task_any` as often as one likes.
    """

    holds_events = False
    """Whether it is a wait for an event or has such among its tasks, which must know whether somebody waits."""

    def __init__(self, execution: Execution | None) -> None:
        self._execution = execution
        self.state = TaskState.RUNNING
        self.is_completed = False
        """Whether it has succeeded or failed."""
        self.result: Any = None
        """The value, or the exception if it failed; None while it runs."""
        self._is_started = False
        self._wanted = 0
        self._listeners: list[Callable[[TaskBase], None]] = []

    @property
    def is_failed(self) -> bool:
        """Whether it has failed."""
        return self.state is TaskState.FAILED

    def start(self) -> TaskBase:
        """Schedules it now, rather than when it is first yielded or awaited."""
        raise NotImplementedError

    def want(self, more: bool) -> None:
        """Somebody waits for it, or no longer does."""
        was_wanted = self._wanted > 0
        self._wanted += 1 if more else -1
        if self.holds_events and was_wanted != (self._wanted > 0):
            self._wanted_changed(more)

    def _wanted_changed(self, is_wanted: bool) -> None:
        raise NotImplementedError

    def when_completed(self, listener: Callable[[TaskBase], None]) -> None:
        """Calls back at its completion, or now if that has been."""
        if self.is_completed:
            listener(self)
        else:
            self._listeners.append(listener)

    def __await__(self) -> Generator[Any, Any, Any]:
        self.start()
        if not self.is_completed:
            yield from self._completion()
        if self.is_failed:
            raise self.result
        return self.result

    def _completion(self) -> Generator[Any, Any, None]:
        done = asyncio.get_running_loop().create_future()

        def wake(_: TaskBase) -> None:
            if not done.done():
                done.set_result(None)

        self.when_completed(wake)
        self.want(True)
        try:
            yield from done
        except asyncio.CancelledError:
            self._abandon(wake)
            raise
        finally:
            self.want(False)

    def _settle(self, state: TaskState, result: Any) -> None:
        self.state, self.result, self.is_completed = state, result, True
        listeners, self._listeners = self._listeners, []
        for notify in listeners:
            notify(self)
        if self._execution is not None:
            self._execution.note_completed(self)

    def _ignore(self, listener: Callable[[TaskBase], None]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _abandon(self, listener: Callable[[TaskBase], None]) -> None:
        """A flow that waited was cancelled. What nobody waits for any more is given up."""
        self._ignore(listener)
        if not self._listeners and not self.is_completed and not (self._execution and self._execution.is_raced(self)):
            self._give_up()

    def _give_up(self) -> None:
        raise NotImplementedError


class AtomicTask(TaskBase):
    """One action of the host's."""

    def __init__(self, execution: Execution, action: Action, decode: Callable[[str], Any]):
        super().__init__(execution)
        self.action = action
        self._execution: Execution
        self._decode = decode
        self._handle: Handle | None = None
        self.number = 0
        """By which the host reports it; 0 while it is not watched."""

    def start(self) -> AtomicTask:
        if self._handle is None and not self.is_completed:
            self._is_started = True
            self._handle = self._execution.open(self.action)
            self._opened(self._handle)
        return self

    def _opened(self, handle: Handle) -> None:
        self._execution.watch(self, handle)

    def reported(self) -> None:
        """The host has completed it, and now it is its turn."""
        assert self._handle is not None
        self.complete(self._handle.outcome())

    def complete(self, outcome: str | Failure) -> None:
        """Takes what the host says."""
        if isinstance(outcome, Failure):
            return self._settle(TaskState.FAILED, outcome)
        try:
            value = self._decode(outcome)
        except Exception as error:
            return self._settle(TaskState.FAILED, error)
        self._settle(TaskState.SUCCEEDED, value)

    def _give_up(self) -> None:
        """Work that was asked for goes on."""

    def _cancel(self) -> None:
        self._is_started = True
        if self._handle is not None:
            self._execution.unwatch(self, self._handle)
            self._handle.cancel()
        self._settle(TaskState.FAILED, Failure("Canceled", "it was given up", retriable=False))


class EventTask(AtomicTask):
    """A wait for an event."""

    def __init__(self, execution: Execution, name: str, decode: Callable[[str], Any]):
        super().__init__(execution, WaitForExternalEvent(name), decode)

    holds_events = True

    def _opened(self, handle: Handle) -> None:
        self._execution.note_change(self)

    def _wanted_changed(self, is_wanted: bool) -> None:
        self._execution.note_change(self)

    def tell_host(self) -> None:
        """Watches it if somebody waits for it, and otherwise not."""
        if self._handle is None:
            return
        if not self._wanted or self.is_completed:
            self._execution.unwatch(self, self._handle)
        elif not self.number:
            self._execution.watch(self, self._handle)

    def reported(self) -> None:
        if self._wanted:  # what nobody waits for is left to the host, for another
            super().reported()

    def cancel(self) -> None:
        """Gives it up: an event that comes later is left for the next wait. It counts as failed then."""
        if not self.is_completed:
            self._cancel()

    def _give_up(self) -> None:
        self.cancel()


class TimerTask(AtomicTask):
    """A timer. It fires at its moment unless it is cancelled before."""

    is_cancelled = False

    def cancel(self) -> None:
        """Gives it up. It counts as failed then."""
        if self.is_cancelled:
            return
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        self.is_cancelled = True
        self._cancel()

    def _give_up(self) -> None:
        self.cancel()


def create_timer(execution: Execution, fire_at: datetime) -> TimerTask:
    """A timer. A moment without a time zone is one in UTC, as `current_utc_datetime` would be."""
    border.instance(fire_at, datetime, "fire_at")
    if fire_at.tzinfo is None:
        fire_at = fire_at.replace(tzinfo=timezone.utc)
    return TimerTask(execution, CreateTimer(fire_at), lambda _: None)


class CompoundTask(TaskBase):
    """A task of tasks.

    Whoever takes the results of many tasks as they come makes a race of all that are left, each time. So what is done with
    each child of a race is done by loops of the interpreter's own.
    """

    def __init__(self, children: Iterable[TaskBase]):
        self.children = list(children)
        for kind in set(map(type, self.children)):
            if not issubclass(kind, TaskBase):
                child = next(child for child in self.children if type(child) is kind)
                raise TypeError(f"{child!r} is not a task: only what the context's methods give can be waited for")
        super().__init__(next((child._execution for child in self.children if child._execution is not None), None))
        self._with_events = [child for child in self.children if child.holds_events] if any(map(_HOLDS_EVENTS, self.children)) else []
        self.holds_events = bool(self._with_events)

    def start(self) -> CompoundTask:
        self._is_started = True
        if not all(map(_IS_STARTED, self.children)):
            for child in self.children:
                child.start()
        return self

    def _child_completed(self, child: TaskBase) -> None:
        raise NotImplementedError

    def _wanted_changed(self, is_wanted: bool) -> None:
        for child in self._with_events:
            child.want(is_wanted)

    def _give_up(self) -> None:
        for child in self.children:
            child._abandon(self._child_completed)


class WhenAllTask(CompoundTask):
    """Completes when all have, with their results in order; or at the first failure, with that."""

    def __init__(self, children: Iterable[TaskBase]):
        children = list(children)
        self._running = len(children)
        super().__init__(children)
        if not children:
            self._settle(TaskState.SUCCEEDED, [])
        for child in children:
            if not self.is_completed:
                child.when_completed(self._child_completed)

    def _child_completed(self, child: TaskBase) -> None:
        self._running -= 1
        if self.is_completed:
            return
        if child.is_failed:
            self._settle(TaskState.FAILED, child.result)
        elif self._running == 0:
            self._settle(TaskState.SUCCEEDED, [child.result for child in self.children])

    def _settle(self, state: TaskState, result: Any) -> None:
        for child in self.children:
            child._ignore(self._child_completed)
        super()._settle(state, result)


class WhenAnyTask(CompoundTask):
    """Completes with the first task that does, whether it succeeded or failed. The result is that task."""

    def __init__(self, children: Iterable[TaskBase]):
        super().__init__(children)
        if not self.children:
            raise ValueError("task_any needs at least one task: of none, none can be the first")
        if any(map(_IS_COMPLETED, self.children)):
            self._settle(TaskState.SUCCEEDED, next(child for child in self.children if child.is_completed))
        elif len(self.children) > _CHILDREN_TOLD and self._execution is not None:
            self._execution.add_race(self)
        else:
            for child in self.children:
                child.when_completed(self._child_completed)

    def _child_completed(self, child: TaskBase) -> None:
        if not self.is_completed:
            self._settle(TaskState.SUCCEEDED, child)

    def _settle(self, state: TaskState, result: Any) -> None:
        # A task that loses one race after another must not hold on to all of them.
        if len(self.children) <= _CHILDREN_TOLD:
            for child in self.children:
                child._ignore(self._child_completed)
        super()._settle(state, result)


_CHILDREN_TOLD = 8
"""Who takes part in a race of more does not know it: the execution does."""

_HOLDS_EVENTS, _IS_STARTED, _IS_COMPLETED = map(attrgetter, ("holds_events", "_is_started", "is_completed"))

"""Tasks, which an orchestrator yields or awaits."""

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
    """Something that completes once. It is not scheduled until it is yielded, awaited or started.

    It may be yielded, awaited and passed to `task_all` and `task_any` any number of times.
    """

    holds_events = False
    """Whether it is a wait for an event, or a compound that contains one, which must know whether it is wanted."""

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
        """Adds something that waits for the task, or removes it."""
        was_wanted = self._wanted > 0
        self._wanted += 1 if more else -1
        if self.holds_events and was_wanted != (self._wanted > 0):
            self._wanted_changed(more)

    def _wanted_changed(self, is_wanted: bool) -> None:
        raise NotImplementedError

    def when_completed(self, listener: Callable[[TaskBase], None]) -> None:
        """Calls the listener when the task completes, or now if it has."""
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
        """Called when a waiting flow is cancelled. Gives up the task if nothing waits for it any more."""
        self._ignore(listener)
        if not self._listeners and not self.is_completed and not (self._execution and self._execution.is_raced(self)):
            self._give_up()

    def _give_up(self) -> None:
        raise NotImplementedError


class AtomicTask(TaskBase):
    """A task for one action."""

    def __init__(self, execution: Execution, action: Action, decode: Callable[[str], Any]):
        super().__init__(execution)
        self.action = action
        self._execution: Execution
        self._decode = decode
        self._handle: Handle | None = None
        self.number = 0
        """The number with which the host reports it; 0 while it is not watched."""

    def start(self) -> AtomicTask:
        if self._handle is None and not self.is_completed:
            self._is_started = True
            self._handle = self._execution.open(self.action)
            self._opened(self._handle)
        return self

    def _opened(self, handle: Handle) -> None:
        self._execution.watch(self, handle)

    def reported(self) -> None:
        """Called in the order of completion, after the host has reported the task."""
        assert self._handle is not None
        self.complete(self._handle.outcome())

    def complete(self, outcome: str | Failure) -> None:
        """Settles the task with the outcome from the host."""
        if isinstance(outcome, Failure):
            return self._settle(TaskState.FAILED, outcome)
        try:
            value = self._decode(outcome)
        except Exception as error:
            return self._settle(TaskState.FAILED, error)
        self._settle(TaskState.SUCCEEDED, value)

    def _give_up(self) -> None:
        """Does nothing: scheduled work continues."""

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
        """Watches the task if something waits for it, or else stops watching it."""
        if self._handle is None:
            return
        if not self._wanted or self.is_completed:
            self._execution.unwatch(self, self._handle)
        elif not self.number:
            self._execution.watch(self, self._handle)

    def reported(self) -> None:
        if self._wanted:  # otherwise the event is left to the host, for another wait
            super().reported()

    def cancel(self) -> None:
        """Cancels the wait: a later event is kept for the next wait. The task then counts as failed."""
        if not self.is_completed:
            self._cancel()

    def _give_up(self) -> None:
        self.cancel()


class TimerTask(AtomicTask):
    """A timer. It fires when it is due, unless it is cancelled before."""

    is_cancelled = False

    def cancel(self) -> None:
        """Cancels the timer. The task then counts as failed."""
        if self.is_cancelled:
            return
        if self.is_completed:
            raise ValueError("Cannot cancel a completed task.")
        self.is_cancelled = True
        self._cancel()

    def _give_up(self) -> None:
        self.cancel()


def create_timer(execution: Execution, fire_at: datetime) -> TimerTask:
    """Makes a timer. A time without a time zone is in UTC, like `current_utc_datetime`."""
    border.instance(fire_at, datetime, "fire_at")
    if fire_at.tzinfo is None:
        fire_at = fire_at.replace(tzinfo=timezone.utc)
    return TimerTask(execution, CreateTimer(fire_at), lambda _: None)


class CompoundTask(TaskBase):
    """A task made of other tasks.

    Code that takes the results of many tasks as they arrive makes a race of all remaining ones, again and again. So the
    work for each child of a race must be cheap: it is done by built-in loops of the interpreter.
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
    """Completes with the results of all tasks, in order; or with the first failure, when it occurs."""

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
    """Completes with the task that completes first, whether it succeeded or failed. The result is that task."""

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
        # A task that loses many races must not keep references to all of them.
        if len(self.children) <= _CHILDREN_TOLD:
            for child in self.children:
                child._ignore(self._child_completed)
        super()._settle(state, result)


_CHILDREN_TOLD = 8
"""With more children, a race has no listeners at its children: the execution notifies it."""

_HOLDS_EVENTS, _IS_STARTED, _IS_COMPLETED = map(attrgetter, ("holds_events", "_is_started", "is_completed"))

"""Tasks: what an orchestrator yields or awaits."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Generator, Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

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

    def __init__(self) -> None:
        self.state = TaskState.RUNNING
        self.result: Any = None
        """The value, or the exception if it failed; None while it runs."""
        self._listeners: list[Callable[[TaskBase], None]] = []

    @property
    def is_completed(self) -> bool:
        """Whether it has succeeded or failed."""
        return self.state is not TaskState.RUNNING

    @property
    def is_failed(self) -> bool:
        """Whether it has failed."""
        return self.state is TaskState.FAILED

    def start(self) -> TaskBase:
        """Schedules it now, rather than when it is first yielded or awaited."""
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
        try:
            yield from done
        except asyncio.CancelledError:
            self._abandon(wake)
            raise

    def _settle(self, state: TaskState, result: Any) -> None:
        self.state, self.result = state, result
        listeners, self._listeners = self._listeners, []
        for notify in listeners:
            notify(self)

    def _ignore(self, listener: Callable[[TaskBase], None]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _abandon(self, listener: Callable[[TaskBase], None]) -> None:
        """A flow that waited was cancelled. What nobody waits for any more is given up."""
        self._ignore(listener)
        if not self._listeners and not self.is_completed:
            self._give_up()

    def _give_up(self) -> None:
        raise NotImplementedError


class AtomicTask(TaskBase):
    """One action of the host's."""

    def __init__(self, execution: Execution, action: Action, decode: Callable[[str], Any]):
        super().__init__()
        self.action = action
        self._execution = execution
        self._decode = decode
        self._handle: Handle | None = None

    def start(self) -> AtomicTask:
        if self._handle is None and not self.is_completed:
            self._handle = self._execution.open(self, self.action)
        return self

    def complete(self, outcome: str | Failure) -> None:
        """The host has completed it. Called in the order of completion."""
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
        if self._handle is not None:
            self._execution.close(self)
            self._handle.cancel()
        self._settle(TaskState.FAILED, Failure("Canceled", "it was given up", retriable=False))


class EventTask(AtomicTask):
    """A wait for an event."""

    def __init__(self, execution: Execution, name: str, decode: Callable[[str], Any]):
        super().__init__(execution, WaitForExternalEvent(name), decode)

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
    if fire_at.tzinfo is None:
        fire_at = fire_at.replace(tzinfo=timezone.utc)
    return TimerTask(execution, CreateTimer(fire_at), lambda _: None)


class CompoundTask(TaskBase):
    """A task of tasks."""

    def __init__(self, children: Iterable[TaskBase]):
        super().__init__()
        self.children = list(children)
        for child in self.children:
            if not isinstance(child, TaskBase):
                raise TypeError(f"{child!r} is not a task: only what the context's methods give can be waited for")
        for child in self.children:
            if not self.is_completed:
                child.when_completed(self._child_completed)

    def start(self) -> CompoundTask:
        for child in self.children:
            child.start()
        return self

    def _child_completed(self, child: TaskBase) -> None:
        raise NotImplementedError

    def _settle(self, state: TaskState, result: Any) -> None:
        # A task that loses one race after another must not hold on to all of them.
        for child in self.children:
            child._ignore(self._child_completed)
        super()._settle(state, result)

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

    def _child_completed(self, child: TaskBase) -> None:
        self._running -= 1
        if self.is_completed:
            return
        if child.is_failed:
            self._settle(TaskState.FAILED, child.result)
        elif self._running == 0:
            self._settle(TaskState.SUCCEEDED, [child.result for child in self.children])


class WhenAnyTask(CompoundTask):
    """Completes with the first task that does, whether it succeeded or failed. The result is that task."""

    def __init__(self, children: Iterable[TaskBase]):
        super().__init__(children)
        if not self.children:
            raise ValueError("task_any needs at least one task: of none, none can be the first")

    def _child_completed(self, child: TaskBase) -> None:
        if not self.is_completed:
            self._settle(TaskState.SUCCEEDED, child)

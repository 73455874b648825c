"""Runs one orchestrator: resumes it, and blocks in the host's `wait-watched` when it makes no progress.

Tasks complete one at a time, in the order in which the host completed them, and the orchestrator runs as far as it can
after each. So the task that completed first wins a race, and no task appears completed before its turn.

Every open task is watched, except for waits for events, which are watched only while something waits for them. So an
event goes to such a wait; an unread event goes to the next one. The host has this rule (`wait-for-external-event`).
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from dacapo.action import Action
from dacapo.event_loop import DurableEventLoop
from dacapo.failure import Failure, nothing_to_wait_for
from dacapo.host import Handle, Host
from dacapo.source import where
from dacapo.task import TaskBase

if TYPE_CHECKING:
    from dacapo.task import AtomicTask, EventTask, WhenAnyTask


class Execution:
    """One execution of an orchestrator: its host, and its tasks that have not completed yet."""

    def __init__(self, host: Host):
        self.host = host
        self.continues_as_new = False
        self._watched: dict[int, AtomicTask] = {}
        """Tasks by the numbers that the host reports."""
        self._numbers = 0
        self._reported: deque[int] = deque()
        self._changed: dict[EventTask, None] = {}
        """Waits for events that have become wanted or unwanted since the last wait, in order."""
        self._races: dict[WhenAnyTask, None] = {}
        """Open races of many tasks, kept here so that a task that loses many races need not refer to all of them."""

    def open(self, action: Action) -> Handle:
        """Schedules a task."""
        return self.host.schedule(action)

    def watch(self, task: AtomicTask, handle: Handle) -> None:
        """Makes the host report when the task has completed."""
        self._numbers += 1
        task.number = self._numbers
        self._watched[self._numbers] = task
        handle.watch(self._numbers)

    def unwatch(self, task: AtomicTask, handle: Handle) -> None:
        if task.number:
            del self._watched[task.number]
            task.number = 0
            handle.unwatch()

    def note_change(self, event: EventTask) -> None:
        """Notes a wait for an event that has become wanted or unwanted."""
        self._changed[event] = None

    def add_race(self, race: WhenAnyTask) -> None:
        self._races[race] = None

    def is_raced(self, task: TaskBase) -> bool:
        return any(task in race.children for race in self._races)

    def note_completed(self, task: TaskBase) -> None:
        """Notifies the races of many tasks."""
        if self._races:
            self._races.pop(task, None)  # type: ignore[call-overload]
            for race in [race for race in self._races if task in race.children]:
                race._child_completed(task)

    def complete_next(self) -> bool:
        """Completes the next task in order, and blocks if there is none yet. Returns false if no task is watched."""
        if not self._reported:
            for event in self._changed:
                event.tell_host()
            self._changed.clear()
            if not self._watched:
                return False
            self._reported.extend(self.host.wait_watched())
        task = self._watched.pop(self._reported.popleft(), None)
        if task is not None:  # a task that was cancelled meanwhile is not watched any more
            task.number = 0
            task.reported()
        return True

    def run(self, orchestrator: Callable[[], Any]) -> Any:
        """Runs an orchestrator to its end: a generator function, an `async` function, or a plain one without tasks."""
        started = orchestrator()
        if inspect.isgenerator(started):
            return self._run_generator(started)
        if inspect.iscoroutine(started):
            return DurableEventLoop(self).run_until_complete(started)
        if inspect.isasyncgen(started):
            message = "an orchestrator cannot be an asynchronous generator: use `await` in place of `yield`"
            raise Failure("InvalidOrchestrator", message, where([started.ag_frame]), retriable=False)
        return started

    def _run_generator(self, generator: Generator[Any, Any, Any]) -> Any:
        resume: Callable[[], Any] = partial(next, generator)
        while True:
            try:
                yielded = resume()
            except StopIteration as end:
                return end.value
            if yielded is None and self.continues_as_new:
                return None  # some apps write `yield context.continue_as_new(...)`
            resume = self._resumption(generator, yielded)

    def _resumption(self, generator: Generator[Any, Any, Any], yielded: Any) -> Callable[[], Any]:
        """How to resume the generator. An error is raised at its `yield`, so that the traceback names that line."""
        if not isinstance(yielded, TaskBase):
            return partial(generator.throw, _not_a_task(yielded))
        try:
            yielded.start()
        except Exception as error:
            return partial(generator.throw, error)
        yielded.want(True)
        while not yielded.is_completed:
            if not self.complete_next():
                return partial(generator.throw, nothing_to_wait_for())
        yielded.want(False)
        if yielded.is_failed:
            return partial(generator.throw, yielded.result.with_traceback(None))
        return partial(generator.send, yielded.result)


def _not_a_task(yielded: Any) -> Failure:
    what = f"the orchestrator yielded a {type(yielded).__name__}, but only tasks made by its context can be yielded"
    return Failure("NotATask", what + _hint_on(yielded), retriable=False)


def _hint_on(yielded: Any) -> str:
    if yielded is None:
        return ": what does not wait, such as signal_entity, is called without `yield`"
    if isinstance(yielded, list | tuple):
        return ": wait for several with context.task_all or context.task_any"
    if inspect.isawaitable(yielded):
        return ": what is awaitable is awaited, in an `async` orchestrator"
    return ""

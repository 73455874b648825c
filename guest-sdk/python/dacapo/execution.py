"""Runs one orchestrator: resumes it, and blocks in the host's `wait` when it cannot go on.

Tasks complete one at a time, in the order in which the host completed them, and the orchestrator runs as far as it can
after each. So a race is won by what completed first, and a task never looks completed before its turn has come.
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
    from dacapo.task import AtomicTask


class Execution:
    """One execution of an orchestrator: its host, and its tasks that have not completed yet."""

    def __init__(self, host: Host):
        self.host = host
        self.continues_as_new = False
        self._open: dict[AtomicTask, Handle] = {}
        self._completed: deque[AtomicTask] = deque()

    def open(self, task: AtomicTask, action: Action) -> Handle:
        """Schedules a task."""
        handle = self._open[task] = self.host.schedule(action)
        return handle

    def close(self, task: AtomicTask) -> None:
        """No `wait` includes the task any more."""
        self._open.pop(task, None)
        if task in self._completed:
            self._completed.remove(task)

    def complete_next(self) -> bool:
        """Completes the task whose turn it is, blocking if there is none yet. False if none is open."""
        if not self._completed:
            if not self._open:
                return False
            tasks = list(self._open)
            self._completed.extend(tasks[index] for index in self.host.wait(list(self._open.values())))
        task = self._completed.popleft()
        task.complete(self._open.pop(task).outcome())
        return True

    def run(self, orchestrator: Callable[[], Any]) -> Any:
        """Runs it to its end. It may be a generator function, an `async` function, or one that needs no tasks."""
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
                return None  # `yield context.continue_as_new(...)`, which some apps write
            resume = self._resumption(generator, yielded)

    def _resumption(self, generator: Generator[Any, Any, Any], yielded: Any) -> Callable[[], Any]:
        """How the generator goes on. What is wrong is raised at its `yield`, so that the traceback names that line."""
        if not isinstance(yielded, TaskBase):
            return partial(generator.throw, _not_a_task(yielded))
        yielded.start()
        while not yielded.is_completed:
            if not self.complete_next():
                return partial(generator.throw, nothing_to_wait_for())
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

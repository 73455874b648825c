"""Runs one function of an app: payloads in, payload or failure out."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dacapo import payload
from dacapo.client import DurableOrchestrationClient, start_orchestration
from dacapo.context import DurableOrchestrationContext
from dacapo.entity import DurableEntityContext, Operation
from dacapo.event_loop import ActivityEventLoop, GuestEventLoop
from dacapo.execution import Execution
from dacapo.failure import Failure
from dacapo.function import CALL_PARAMETER, Function, FunctionName, Kind
from dacapo.host import Host, Management
from dacapo.source import place_of

T = TypeVar("T")


@dataclass(frozen=True)
class ActivityCall:
    """One call of an activity. The parameter `context` of an activity gets it."""

    function_name: str
    instance_id: str
    task_id: int
    """Together with `instance_id`, an idempotency key: the same when the call is repeated after a crash."""
    attempt: int
    _management: Management = field(repr=False, compare=False)

    @property
    def invocation_id(self) -> str:
        """The idempotency key, as a text."""
        return f"{self.instance_id}:{self.task_id}"

    def start_orchestration(
        self, name: FunctionName, input_: Any = None, instance_id: str | None = None, version: str | None = None
    ) -> str:
        """Starts an orchestration that runs on its own, and returns its instance id. Raises `Failure`, for example of
        type `InstanceAlreadyExists`. If the call of the activity is repeated after a crash, it is not started again."""
        return start_orchestration(self._management, name, input_, instance_id, version)

    def client(self) -> DurableOrchestrationClient:
        """A client of the task hub of the call."""
        return DurableOrchestrationClient(self._management)


class Runner:
    """The functions of an app, found by kind and name."""

    def __init__(self, functions: list[Function]):
        self.functions = functions
        self._by_name = {(function.kind, function.name): function for function in functions}

    def run_orchestrator(self, host: Host, name: str, input_: str) -> str:
        """Runs an orchestrator to its end. Raises `Failure`."""

        def run() -> str:
            random.seed(int.from_bytes(host.random_bytes(16), "little"))
            function = self._find(Kind.ORCHESTRATOR, name)
            execution = Execution(host)
            context = DurableOrchestrationContext(execution, input_, function.input_type)
            output = execution.run(lambda: function.user_function(context))
            return "null" if execution.continues_as_new else _encode_output(function, output)

        return _guarded(run)

    def run_activity(self, call: ActivityCall, input_: str) -> str:
        """Runs an activity. Raises `Failure`."""

        def run() -> str:
            random.seed()
            function = self._find(Kind.ACTIVITY, call.function_name)
            result = function.user_function(**_arguments(function, call, payload.decode(input_)))
            if inspect.iscoroutine(result):
                result = ActivityEventLoop().run_until_complete(result)
            return _encode_output(function, result)

        return _guarded(run)

    def run_entity_operation(self, host: Host, operation: Operation) -> tuple[str, str | None]:
        """Runs one operation of an entity, and returns its result and the new state. Raises `Failure`."""

        def run() -> tuple[str, str | None]:
            random.seed(int.from_bytes(host.random_bytes(16), "little"))
            function = self._find(Kind.ENTITY, operation.entity.name)
            context = DurableEntityContext(host, operation)
            result = function.user_function(context)
            if inspect.iscoroutine(result):
                GuestEventLoop().run_until_complete(result)
            with _of_what_it_left(function):
                return context.outcome()

        return _guarded(run)

    def _find(self, kind: Kind, name: str) -> Function:
        function = self._by_name.get((kind, name))
        if function is None:
            word = kind.name.capitalize()
            raise Failure(f"{word}NotFound", f"this app has no {word.lower()} `{name}`", retriable=False)
        return function


def _arguments(activity: Function, call: ActivityCall, input_: Any) -> dict[str, Any]:
    arguments = {activity.parameter: input_}
    arguments |= {name: call.client() for name in activity.clients}
    if activity.takes_call:
        arguments[CALL_PARAMETER] = call
    return arguments


def _encode_output(function: Function, output: Any) -> str:
    with _of_what_it_left(function):
        return payload.encode(output, f"the output of `{function.name}`", "InvalidOutput")


@contextmanager
def _of_what_it_left(function: Function) -> Iterator[None]:
    """Adds the position of a function to failures that occur after it has returned, and so have no line."""
    try:
        yield
    except Failure as failure:
        failure.details = f"  {place_of(function.user_function)}, in {function.name}"
        raise


def _guarded(run: Callable[[], T]) -> T:
    """Converts any exception of the user's code to a failure, including that of `sys.exit()`."""
    try:
        return run()
    except BaseException as error:
        raise Failure.of(error) from None

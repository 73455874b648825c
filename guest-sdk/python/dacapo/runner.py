"""Runs one function of an app: payloads in, payload or failure out."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from dacapo import payload
from dacapo.context import DurableOrchestrationContext
from dacapo.entity import DurableEntityContext, Operation
from dacapo.event_loop import ActivityEventLoop, GuestEventLoop
from dacapo.execution import Execution
from dacapo.failure import Failure
from dacapo.function import Function, Kind
from dacapo.host import Host

T = TypeVar("T")


@dataclass(frozen=True)
class ActivityCall:
    """What an activity may know of the call. The parameter `context` of an activity takes it."""

    function_name: str
    instance_id: str
    task_id: int
    """With `instance_id` an idempotency key, which stays the same when the call is repeated after a crash."""
    attempt: int

    @property
    def invocation_id(self) -> str:
        """The idempotency key, as a text."""
        return f"{self.instance_id}:{self.task_id}"


class Runner:
    """The functions of an app, found by kind and name."""

    def __init__(self, functions: list[Function]):
        self.functions = functions
        self._by_name = {(function.kind, function.name): function for function in functions}
        self._takes_context = {function.name for function in functions if _takes_context(function)}

    def run_orchestrator(self, host: Host, name: str, input_: str) -> str:
        """Runs an orchestrator to its end. Raises `Failure`."""

        def run() -> str:
            random.seed(int.from_bytes(host.random_bytes(16), "little"))
            function = self._find(Kind.ORCHESTRATOR, name)
            execution = Execution(host)
            context = DurableOrchestrationContext(execution, input_, function.input_type)
            output = execution.run(lambda: function.user_function(context))
            return "null" if execution.continues_as_new else _encode_output(name, output)

        return _guarded(run)

    def run_activity(self, call: ActivityCall, input_: str) -> str:
        """Runs an activity. Raises `Failure`."""

        def run() -> str:
            random.seed()
            function = self._find(Kind.ACTIVITY, call.function_name)
            arguments = {function.parameter: payload.decode(input_)}
            if function.name in self._takes_context:
                arguments["context"] = call
            result = function.user_function(**arguments)
            if inspect.iscoroutine(result):
                result = ActivityEventLoop().run_until_complete(result)
            return _encode_output(call.function_name, result)

        return _guarded(run)

    def run_entity_operation(self, host: Host, operation: Operation) -> tuple[str, str | None]:
        """Runs one operation of an entity, and gives its result and the new state. Raises `Failure`."""

        def run() -> tuple[str, str | None]:
            random.seed(int.from_bytes(host.random_bytes(16), "little"))
            function = self._find(Kind.ENTITY, operation.entity.name)
            context = DurableEntityContext(host, operation)
            result = function.user_function(context)
            if inspect.iscoroutine(result):
                GuestEventLoop().run_until_complete(result)
            return context.outcome()

        return _guarded(run)

    def _find(self, kind: Kind, name: str) -> Function:
        function = self._by_name.get((kind, name))
        if function is None:
            word = kind.name.capitalize()
            raise Failure(f"{word}NotFound", f"this app has no {word.lower()} `{name}`", retriable=False)
        return function


def _takes_context(activity: Function) -> bool:
    parameters = inspect.signature(activity.user_function).parameters
    return activity.kind is Kind.ACTIVITY and activity.parameter != "context" and "context" in parameters


def _encode_output(name: str, output: Any) -> str:
    return payload.encode(output, f"the output of `{name}`", "InvalidOutput")


def _guarded(run: Callable[[], T]) -> T:
    """Turns whatever the user's code raises into a failure, `sys.exit()` included."""
    try:
        return run()
    except BaseException as error:
        raise Failure.of(error) from None

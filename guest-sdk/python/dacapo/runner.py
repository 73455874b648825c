"""Runs one function of an app: payloads in, payload or failure out."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from dacapo import payload, trigger
from dacapo.bindings import RETURN, Kind
from dacapo.calls import ActivityCall, TraceContext, TriggerCall
from dacapo.context import DurableOrchestrationContext
from dacapo.entity import DurableEntityContext, Operation
from dacapo.event_loop import ActivityEventLoop, GuestEventLoop
from dacapo.execution import Execution
from dacapo.failure import Failure
from dacapo.function import CALL_PARAMETER, AppFunction, ClientFunction, Function
from dacapo.host import Host
from dacapo.messages import Out, output_of
from dacapo.source import folder_of, place_of

T = TypeVar("T")


class Runner:
    """The functions of an app, found by kind and name."""

    def __init__(self, functions: list[Function], client_functions: list[ClientFunction] | None = None):
        self.functions = functions
        self.client_functions = client_functions or []
        self._by_name = {(function.kind, function.name): function for function in functions}
        self._by_trigger = {function.name: function for function in self.client_functions}

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
            outs = trigger.outs_of(function.outputs)
            absent = _absent_arguments(function)
            arguments = {function.parameter: payload.decode(input_), **outs, **absent, **_of_call(function, call)}
            returned = _finished(function.user_function(**arguments))
            _warn_of_lost_outputs(function, returned, absent)
            with _of_what_it_left(function):
                _send(function, returned, outs, call)
            return _encode_output(function, returned)

        return _guarded(run)

    def run_trigger(self, call: TriggerCall, input_: str) -> str:
        """Runs the function of a trigger. The input and the output are those of the contract. Raises `Failure`."""

        def run() -> str:
            random.seed()
            function = self._by_trigger.get(call.function_name)
            if function is None:
                raise Failure("TriggerNotFound", f"this app has no trigger `{call.function_name}`", retriable=False)
            given = payload.parse(input_)
            traced = dataclasses.replace(call, trace_context=_trace_of(given))
            return _run_client_function(function, traced, trigger.argument_of(function.trigger, given))

        return _guarded(run)

    def run_client_function(self, call: TriggerCall, argument: Any) -> str:
        """Like `run_trigger`, with the argument that the trigger would give."""
        return _guarded(lambda: _run_client_function(self._by_trigger[call.function_name], call, argument))

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


def _run_client_function(function: ClientFunction, call: TriggerCall, argument: Any) -> str:
    outs = trigger.outs_of(function.bindings)
    absent = _absent_arguments(function)
    arguments = {function.trigger["name"]: argument, **outs, **absent, **_of_call(function, call)}
    returned = _finished(function.user_function(**arguments))
    _warn_of_lost_outputs(function, returned, absent)
    if any(one.name == RETURN for one in function.absent):
        returned = None
    with _of_what_it_left(function):
        try:
            return trigger.output_of(function.bindings, returned, outs)
        except (TypeError, ValueError) as error:
            raise Failure("InvalidOutput", str(error)) from None


def _send(function: Function, returned: Any, outs: dict[str, Out], call: ActivityCall) -> None:
    """Puts the messages of an activity's outputs into their queues."""
    for binding in function.outputs:
        name = binding["name"]
        value = returned if name == RETURN else outs[name].get()
        if value is None:
            continue
        try:
            messages = output_of(value)
        except (TypeError, ValueError) as error:
            raise Failure("InvalidOutput", str(error)) from None
        call.client().put(binding["queueName" if binding["type"] == "queue" else "eventHubName"], messages)


def _absent_arguments(function: AppFunction) -> dict[str, Any]:
    """The arguments for inputs and outputs that Dacapo does not have. The log says which inputs have no value."""
    for one in function.absent:
        if not one.is_output:
            text = "The input `%s` of `%s` is None: %s. Instead, %s."
            logging.warning(text, one.name, function.name, one.missing(), one.instead)
    return {one.name: Out() if one.is_output else None for one in function.absent if one.name != RETURN}


def _warn_of_lost_outputs(function: AppFunction, returned: Any, arguments: dict[str, Any]) -> None:
    """Logs which values are not sent, because Dacapo does not have their outputs."""
    for one in function.absent:
        if one.is_output and (returned if one.name == RETURN else arguments[one.name].get()) is not None:
            text = "What `%s` gave to its output `%s` is not sent: %s. Instead, %s."
            logging.warning(text, function.name, one.name, one.missing(), one.instead)


def _of_call(function: AppFunction, call: ActivityCall | TriggerCall) -> dict[str, Any]:
    """The arguments that are of the call: clients and the call itself."""
    arguments: dict[str, Any] = {name: call.client() for name in function.clients}
    if function.takes_call:
        arguments[CALL_PARAMETER] = dataclasses.replace(call, function_directory=folder_of(function.user_function))
    return arguments


def _trace_of(input_: dict[str, Any]) -> TraceContext:
    """The context for tracing of a request over HTTP; an empty one of any other input."""
    headers = dict(input_.get("headers", ()))
    return TraceContext(headers.get("traceparent", ""), headers.get("tracestate", ""))


def _finished(result: Any) -> Any:
    """The result of a function, which is awaited if the function is `async`."""
    return ActivityEventLoop().run_until_complete(result) if inspect.iscoroutine(result) else result


def _encode_output(function: Function, output: Any) -> str:
    with _of_what_it_left(function):
        return payload.encode(output, f"the output of `{function.name}`", "InvalidOutput")


@contextmanager
def _of_what_it_left(function: AppFunction) -> Iterator[None]:
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

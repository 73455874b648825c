"""The functions of an app that Dacapo runs."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dacapo import bindings as known
from dacapo.bindings import RETURN, Absent, Binding, Kind
from dacapo.source import place_of


class AppError(Exception):
    """An error of an app, described in one sentence, with the function that it is about, if there is one."""

    def __init__(self, message: str, function: Callable | None = None):
        super().__init__(message if function is None else f"{place_of(function)}: {message}")


CALL_PARAMETER = "context"
"""The parameter of an activity or of the function of a trigger that takes what is known about the call."""


@dataclass
class Function:
    """A durable function: an orchestrator, an activity or an entity."""

    name: str
    kind: Kind
    parameter: str
    """The parameter that takes the context, or an activity's input."""
    user_function: Callable
    input_type: type | None = None
    clients: list[str] = field(default_factory=list)
    """The parameters of an activity that take a client."""
    outputs: list[Binding] = field(default_factory=list)
    """The outputs of an activity, to queues."""
    absent: list[Absent] = field(default_factory=list)
    """The other inputs and outputs of an activity, which Dacapo does not have."""

    @property
    def parameters(self) -> list[str]:
        """The parameters of an activity that its bindings name."""
        others = [*(binding["name"] for binding in self.outputs), *(one.name for one in self.absent)]
        return [self.parameter, *self.clients, *(name for name in others if name != RETURN)]

    @functools.cached_property
    def takes_call(self) -> bool:
        """Whether an activity takes an `ActivityCall`, as `context`."""
        return self.kind is Kind.ACTIVITY and _takes_call(self)

    def check(self) -> None:
        """Raises an error if no host could run the function, because of its name or its parameters."""
        _check_name(self)
        if self.clients and self.kind is not Kind.ACTIVITY:
            message = f"the {self.kind.name.lower()} `{self.name}` cannot have a client: it uses its context instead"
            raise AppError(message, self.user_function)
        if self.kind is Kind.ACTIVITY:
            _check_named_parameters(self)
        else:
            _check_call(self, lambda signature: signature.bind(None), "It is given one argument, its context")
        if self.kind is not Kind.ORCHESTRATOR:
            _check_plain(self, self.kind.name.lower())


@dataclass
class ClientFunction:
    """A function that a trigger runs, such as an HTTP request or a timer, and that can hold a durable client."""

    name: str
    bindings: list[Binding]
    user_function: Callable
    absent: list[Absent] = field(default_factory=list)
    """The inputs and outputs that Dacapo does not have."""

    @property
    def trigger(self) -> Binding:
        """The binding that is its trigger."""
        return known.triggers_in(self.bindings)[0]

    @property
    def clients(self) -> list[str]:
        """The parameters that take a client."""
        return known.clients_in(self.bindings)

    @property
    def parameters(self) -> list[str]:
        """The parameters that its bindings name."""
        names = [*(binding["name"] for binding in self.bindings), *(one.name for one in self.absent)]
        return [name for name in names if name != RETURN]

    @functools.cached_property
    def takes_call(self) -> bool:
        """Whether it takes a `TriggerCall`, as `context`."""
        return _takes_call(self)

    def described(self) -> str:
        """Its bindings as JSON, for the host."""
        return json.dumps(self.bindings)

    def check(self) -> None:
        """Raises an error if no host could run the function, because of its name or its parameters."""
        _check_name(self)
        _check_named_parameters(self)
        _check_plain(self, "function")


AppFunction = Function | ClientFunction


def function_of(
    name: str, bindings: list[Binding], absent: list[Absent], user_function: Callable, input_type: type | None = None
) -> AppFunction:
    """The function with these normal bindings, which `check_run` has found to be one that Dacapo runs, and without these
    that are absent."""
    trigger = known.triggers_in(bindings)[0]
    if trigger["type"] not in {kind.value for kind in Kind}:
        return ClientFunction(name, bindings, user_function, absent)
    kind = Kind(trigger["type"])
    clients, outputs = known.clients_in(bindings), known.outputs_in(bindings)
    return Function(name, kind, trigger["name"], user_function, input_type, clients, outputs, absent)


def _takes_call(function: AppFunction) -> bool:
    parameters = inspect.signature(function.user_function).parameters
    return CALL_PARAMETER not in function.parameters and CALL_PARAMETER in parameters


def _check_name(function: AppFunction) -> None:
    name = function.name
    if not isinstance(name, str) or not re.fullmatch(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}", name):
        message = f"{name!r} is not a valid function name: it needs 1 to 128 characters without white space"
        raise AppError(message, function.user_function)


def _check_named_parameters(function: AppFunction) -> None:
    named = ", ".join(f"`{name}`" for name in function.parameters)
    given = f"Its trigger and bindings name {named}; `{CALL_PARAMETER}` is the call itself"
    call = [CALL_PARAMETER] if function.takes_call else []
    _check_call(function, lambda signature: signature.bind(**dict.fromkeys([*function.parameters, *call])), given)


def _check_call(function: AppFunction, bind: Callable[[inspect.Signature], Any], given: str) -> None:
    try:
        bind(inspect.signature(function.user_function))
    except TypeError as error:
        message = f"`{function.name}` cannot be called: {error}. {given}"
        raise AppError(message, function.user_function) from None


def _check_plain(function: AppFunction, what: str) -> None:
    user_function = inspect.unwrap(function.user_function)
    if inspect.isgeneratorfunction(user_function) or inspect.isasyncgenfunction(user_function):
        message = f"the {what} `{function.name}` must not `yield`: only orchestrators wait for tasks"
        raise AppError(message, function.user_function)

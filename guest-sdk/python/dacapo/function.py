"""The functions of an app, declared by decorators or `function.json`."""

from __future__ import annotations

import enum
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dacapo import border
from dacapo.source import place_of


class AppError(Exception):
    """An error of an app, described in one sentence, with the function that it is about, if there is one."""

    def __init__(self, message: str, function: Callable | None = None):
        super().__init__(message if function is None else f"{place_of(function)}: {message}")


class Kind(enum.Enum):
    """The kind of a function."""

    ORCHESTRATOR = "orchestrationTrigger"
    ACTIVITY = "activityTrigger"
    ENTITY = "entityTrigger"


@dataclass
class Function:
    """One function that Dacapo runs."""

    name: str
    kind: Kind
    parameter: str
    """The parameter that takes the context, or an activity's input."""
    user_function: Callable
    input_type: type | None = None
    clients: list[str] = field(default_factory=list)
    """The parameters of an activity that take a client."""

    @functools.cached_property
    def takes_call(self) -> bool:
        """Whether an activity takes an `ActivityCall`, as `context`."""
        parameters = inspect.signature(self.user_function).parameters
        is_free = CALL_PARAMETER not in (self.parameter, *self.clients)
        return self.kind is Kind.ACTIVITY and is_free and CALL_PARAMETER in parameters

    def check(self) -> None:
        """Raises an error if no host could run the function, because of its name or its parameters."""
        if not isinstance(self.name, str) or not re.fullmatch(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}", self.name):
            message = f"{self.name!r} is not a valid function name: it needs 1 to 128 characters without white space"
            raise AppError(message, self.user_function)
        try:
            signature = inspect.signature(self.user_function)
            if self.kind is Kind.ACTIVITY:
                call = [CALL_PARAMETER] if self.takes_call else []
                signature.bind(**dict.fromkeys([self.parameter, *self.clients, *call]))
            else:
                signature.bind(None)  # its context; the parameter may have any name
        except TypeError as error:
            message = f"`{self.name}` cannot be called: {error}. {self._what_is_given()}"
            raise AppError(message, self.user_function) from None
        if self.kind is not Kind.ORCHESTRATOR and _yields(self.user_function):
            message = f"the {self.kind.name.lower()} `{self.name}` must not `yield`: only orchestrators wait for tasks"
            raise AppError(message, self.user_function)

    def _what_is_given(self) -> str:
        if self.kind is not Kind.ACTIVITY:
            return "It is given one argument, its context"
        named = ", ".join(f"`{name}`" for name in [self.parameter, *self.clients])
        return f"Its trigger and bindings name {named}; `{CALL_PARAMETER}` is the call itself"


def _yields(function: Callable) -> bool:
    function = inspect.unwrap(function)
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


CALL_PARAMETER = "context"
"""The parameter of an activity that takes the `ActivityCall`, if it has one of that name."""


@dataclass(frozen=True)
class Binding:
    """An input or output of a function other than its trigger."""

    type: str
    parameter: str = ""


_CLIENT_BINDINGS = {"durableClient", "orchestrationClient"}
"""The second is the name in older apps."""


def clients_in(bindings: list[Binding]) -> list[str]:
    """The parameters that take a client."""
    return [binding.parameter for binding in bindings if binding.type in _CLIENT_BINDINGS]


def clients_of(name: str, kind: Kind, bindings: list[Binding], function: Callable) -> list[str]:
    """The clients of a function that Dacapo runs. Raises an error for bindings that Dacapo does not have."""
    clients = clients_in(bindings)
    others = ", ".join(binding.type for binding in bindings if binding.type not in _CLIENT_BINDINGS)
    if others:
        message = f"`{name}` has a binding that Dacapo does not support: {others}. Use a library in an activity instead"
        raise AppError(message, function)
    if clients and kind is not Kind.ACTIVITY:
        raise AppError(f"`{name}` has a client, which only an activity may have; use its context instead", function)
    return clients


@dataclass
class Trigger:
    """The trigger of a function. It has no kind if it is not durable."""

    type: str
    kind: Kind | None = None
    parameter: str = ""
    name: str | None = None
    input_type: type | None = None


class Orchestrator:
    """The v1 form of an orchestrator: `main = df.Orchestrator.create(orchestrator_function)`."""

    @classmethod
    def create(cls, fn: Callable) -> Callable:
        """Makes the value for `main`."""

        @functools.wraps(fn)
        def handle(context: Any) -> Any:
            return fn(context)

        handle.orchestrator_function = fn
        return handle


class Entity:
    """The v1 form of an entity: `main = df.Entity.create(entity_function)`."""

    @classmethod
    def create(cls, fn: Callable) -> Callable:
        """Makes the value for `main`."""

        @functools.wraps(fn)
        def handle(context: Any) -> Any:
            return fn(context)

        handle.entity_function = fn
        return handle


@dataclass
class FunctionBuilder:
    """A decorated function. It can still be called, and can be passed instead of its name."""

    user_function: Callable
    given_name: str | None = None
    trigger: Trigger | None = None
    bindings: list[Binding] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the task hub."""
        in_trigger = self.trigger.name if self.trigger else None
        return in_trigger or self.given_name or self.user_function.__name__

    def function(self) -> Function | None:
        """The function that Dacapo runs; None if its trigger is not durable."""
        trigger = self.trigger
        if trigger is None or trigger.kind is None:
            return None
        clients = clients_of(self.name, trigger.kind, self.bindings, self.user_function)
        return Function(self.name, trigger.kind, trigger.parameter, self.user_function, trigger.input_type, clients)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.user_function(*args, **kwargs)

    def build(self) -> FunctionBuilder:
        """For unit tests of existing apps: `my_activity.build().get_user_function()`."""
        return self

    def get_user_function(self) -> Callable:
        """The decorated function; for an orchestrator or entity, its v1 form."""
        match self.trigger and self.trigger.kind:
            case Kind.ORCHESTRATOR:
                return Orchestrator.create(self.user_function)
            case Kind.ENTITY:
                return Entity.create(self.user_function)
            case _:
                return self._with_client() if clients_in(self.bindings) else self.user_function

    def _with_client(self) -> Callable:
        """As in the original: another signature for a function with a client, and the function as an attribute."""

        @functools.wraps(self.user_function)
        def handle(*args: Any, **kwargs: Any) -> Any:
            return self.user_function(*args, **kwargs)

        handle.client_function = self.user_function
        return handle

    def get_function_name(self) -> str:
        """Its name in the task hub."""
        return self.name


FunctionName = str | Callable | FunctionBuilder


def name_of(function: FunctionName) -> str:
    """The name of a function that is passed as a name or as the decorated function."""
    if isinstance(function, str):
        name = function
    elif isinstance(function, FunctionBuilder):
        name = function.name
    else:
        name = getattr(function, "__name__", None) if callable(function) else None
    if name is None:
        raise TypeError(f"a function is named by a str or by itself, not by a {type(function).__name__}")
    return border.function_name(name, "the name of a function")

"""Functions of an app, as decorators or `function.json` declare them."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Kind(enum.Enum):
    """What a function is."""

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

    def takes_its_parameter(self) -> bool:
        """Whether the input of an activity can be handed over. Contexts are, whatever their parameter is called."""
        parameters = inspect.signature(self.user_function).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        return self.kind is not Kind.ACTIVITY or self.parameter in parameters or takes_any


@dataclass
class Trigger:
    """What starts a function. One that is not durable has no kind."""

    type: str
    kind: Kind | None = None
    parameter: str = ""
    name: str | None = None
    input_type: type | None = None


class Orchestrator:
    """The v1 form of an orchestrator: `main = df.Orchestrator.create(orchestrator_function)`."""

    @classmethod
    def create(cls, fn: Callable) -> Callable:
        """What `main` is to be."""

        def handle(context: Any) -> Any:
            return fn(context)

        handle.orchestrator_function = fn
        return handle


class Entity:
    """The v1 form of an entity: `main = df.Entity.create(entity_function)`."""

    @classmethod
    def create(cls, fn: Callable) -> Callable:
        """What `main` is to be."""

        def handle(context: Any) -> Any:
            return fn(context)

        handle.entity_function = fn
        return handle


@dataclass
class FunctionBuilder:
    """A decorated function. It may be called as before, and passed in place of a name."""

    user_function: Callable
    given_name: str | None = None
    trigger: Trigger | None = None
    bindings: list[str] = field(default_factory=list)
    """The types of its other bindings, for what the builder of the app has to say about them."""

    @property
    def name(self) -> str:
        """Its name in the task hub."""
        in_trigger = self.trigger.name if self.trigger else None
        return in_trigger or self.given_name or self.user_function.__name__

    def function(self) -> Function | None:
        """The function that Dacapo runs; None if its trigger is none of Dacapo's."""
        trigger = self.trigger
        if trigger is None or trigger.kind is None:
            return None
        if self.bindings:
            what = ", ".join(self.bindings)
            raise ValueError(
                f"`{self.name}` has a binding that Dacapo has not: {what}. An activity uses a client instead"
            )
        return Function(self.name, trigger.kind, trigger.parameter, self.user_function, trigger.input_type)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.user_function(*args, **kwargs)

    def build(self) -> FunctionBuilder:
        """As in the unit tests of existing apps: `my_activity.build().get_user_function()`."""
        return self

    def get_user_function(self) -> Callable:
        """The function that was decorated, an orchestrator or entity in its v1 form."""
        match self.trigger and self.trigger.kind:
            case Kind.ORCHESTRATOR:
                return Orchestrator.create(self.user_function)
            case Kind.ENTITY:
                return Entity.create(self.user_function)
            case _:
                return self.user_function

    def get_function_name(self) -> str:
        """Its name in the task hub."""
        return self.name


def name_of(function: str | Callable | FunctionBuilder) -> str:
    """The name of a function that is given by its name or itself."""
    if isinstance(function, str):
        return function
    if isinstance(function, FunctionBuilder):
        return function.name
    if callable(function):
        return function.__name__
    raise TypeError(f"a function is named by a str or by itself, not by a {type(function).__name__}")

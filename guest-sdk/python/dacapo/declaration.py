"""Functions as an app declares them: with decorators or with a `function.json`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dacapo import bindings as known
from dacapo import border
from dacapo.bindings import Binding, Kind
from dacapo.function import AppError, AppFunction, function_of

_NAMES = {"orchestrationTrigger": "orchestration", "activityTrigger": "activity", "entityTrigger": "entityName"}
"""The member of a durable trigger with the name of the function in the task hub."""


@dataclass
class Declaration:
    """A function as an app declares it."""

    name: str
    bindings: list[Binding]
    user_function: Callable[[], Callable]
    """Finds the function, if Dacapo runs it."""
    input_type: type | None = None
    has_retry: bool = False
    """Whether it has a retry policy of Azure Functions."""
    is_disabled: bool = False

    def function(self) -> AppFunction:
        """The function. Raises `LeftOut` if Dacapo does not run it."""
        if self.is_disabled:
            raise known.LeftOut("it is disabled")
        bindings = known.normal(self.bindings)
        if len(triggers := known.triggers_in(bindings)) > 1:
            raise AppError(f"`{self.name}` has two triggers: {triggers[0]['type']} and {triggers[1]['type']}")
        known.check_run(bindings)
        (trigger,) = triggers
        if trigger["type"] in _NAMES:
            trigger.setdefault("name", "context")
        for binding in bindings:
            if not isinstance(binding.get("name"), str) or not binding["name"]:
                raise AppError(f"`{self.name}` has a binding without a name, its {binding['type']}")
        name = trigger.get(_NAMES.get(trigger["type"], "")) or self.name
        return function_of(name, *known.split(bindings), self.user_function(), self.input_type)

    def warnings(self) -> list[str]:
        """What Dacapo does not do of a function that it runs."""
        found = []
        if self.has_retry:
            found.append(
                f"`{self.name}` has a retry policy, which is not used: the host repeats what failed by its own rules"
            )
        for binding in self.bindings:
            if hub := binding.get("taskHub"):
                found.append(
                    f"`{self.name}` names the task hub {hub}, which is not used: its client is that of the app's hub"
                )
        return found


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
    bindings: list[Binding] = field(default_factory=list)
    input_type: type | None = None
    has_retry: bool = False
    auth_level: str = "function"
    """The level of an HTTP trigger without one of its own: that of the app."""

    @property
    def name(self) -> str:
        """Its name in the task hub."""
        own = self.given_name or self.user_function.__name__
        return next((name for of in self.bindings if (name := of.get(_NAMES.get(of["type"], "")))), own)

    def add(self, binding: Binding) -> None:
        """Adds a trigger or another binding."""
        others = known.triggers_in(self.bindings)
        if others and known.is_trigger(binding):
            raise ValueError(f"`{self.name}` has two triggers: {others[0]['type']} and {binding['type']}")
        self.bindings.append(binding)

    def declaration(self) -> Declaration:
        """The function as it is declared."""
        bindings = [self._with_defaults(binding) for binding in self.bindings]
        return Declaration(self.name, bindings, lambda: self.user_function, self.input_type, self.has_retry)

    def _with_defaults(self, binding: Binding) -> Binding:
        if binding["type"].lower() != "httptrigger":
            return dict(binding)
        return {"route": self.name, "authLevel": self.auth_level, **binding}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.user_function(*args, **kwargs)

    def build(self, auth_level: Any = None) -> FunctionBuilder:
        """For unit tests of existing apps: `my_activity.build().get_user_function()`."""
        return self

    def get_user_function(self) -> Callable:
        """The decorated function; for an orchestrator or entity, its v1 form."""
        types = [binding["type"] for binding in self.bindings]
        if Kind.ORCHESTRATOR.value in types:
            return Orchestrator.create(self.user_function)
        if Kind.ENTITY.value in types:
            return Entity.create(self.user_function)
        return self._with_client() if known.clients_in(self.bindings) else self.user_function

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

    def get_bindings_dict(self) -> dict[str, list[Binding]]:
        """Its bindings, as in a `function.json`."""
        return {"bindings": known.normal(self.declaration().bindings)}


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

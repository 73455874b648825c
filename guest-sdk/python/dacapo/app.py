"""Apps in the programming model with decorators (v2 of Azure Functions for Python)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dacapo.function import Binding, Function, FunctionBuilder, Kind, Trigger

# Decorators of Azure Functions whose kind cannot be derived from their names.
_TRIGGERS = {"route": "httpTrigger", "schedule": "timerTrigger", "mcp_tool": "mcpToolTrigger"}
_SETTINGS = {"retry", "http_type", "mcp_tool_property"}


class Blueprint:
    """Functions that an app includes with `register_functions`.

    Triggers and bindings that are not durable are accepted, so that sources of existing apps load. Dacapo does not run
    their functions, and the build reports them.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        self._builders: list[FunctionBuilder] = []

    def orchestration_trigger(
        self, context_name: str, orchestration: str | None = None, input_type: type | None = None
    ) -> Callable[[Any], FunctionBuilder]:
        """Declares an orchestrator: a generator function, or an `async` one."""
        return self._trigger(
            Trigger("orchestrationTrigger", Kind.ORCHESTRATOR, context_name, orchestration, input_type)
        )

    def activity_trigger(self, input_name: str, activity: str | None = None) -> Callable[[Any], FunctionBuilder]:
        """Declares an activity, plain or `async`."""
        return self._trigger(Trigger("activityTrigger", Kind.ACTIVITY, input_name, activity))

    def entity_trigger(self, context_name: str, entity_name: str | None = None) -> Callable[[Any], FunctionBuilder]:
        """Declares an entity: a function that runs one operation."""
        return self._trigger(Trigger("entityTrigger", Kind.ENTITY, context_name, entity_name))

    def function_name(self, name: str) -> Callable[[Any], FunctionBuilder]:
        """Sets a name other than that of the `def`."""
        return self._decorator(lambda builder: setattr(builder, "given_name", name))

    def durable_client_input(
        self, client_name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> Callable[[Any], FunctionBuilder]:
        """Gives an activity a client of its task hub."""
        return self._binding(Binding("durableClient", client_name))

    def __getattr__(self, name: str) -> Callable[..., Callable[[Any], FunctionBuilder]]:
        """Any other decorator of Azure Functions: a trigger, a binding, or a setting of either."""
        kind = _camel_case(name.removesuffix("_v3"))
        if name in _TRIGGERS or kind.endswith("Trigger"):
            return lambda *_, **__: self._trigger(Trigger(_TRIGGERS.get(name, kind)))
        if kind.endswith(("Input", "Output", "Binding")):
            return lambda *_, **__: self._binding(Binding(kind))
        if name in _SETTINGS:
            return lambda *_, **__: self._decorator(lambda _: None)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _trigger(self, trigger: Trigger) -> Callable[[Any], FunctionBuilder]:
        if not isinstance(trigger.parameter, str):
            raise TypeError(
                "a trigger is given the name of a parameter, as in `@app.activity_trigger(input_name='city')`"
            )

        def attach(builder: FunctionBuilder) -> None:
            if builder.trigger is not None:
                raise ValueError(f"`{builder.name}` has two triggers: {builder.trigger.type} and {trigger.type}")
            builder.trigger = trigger

        return self._decorator(attach)

    def _binding(self, binding: Binding) -> Callable[[Any], FunctionBuilder]:
        return self._decorator(lambda builder: builder.bindings.append(binding))

    def _decorator(self, change: Callable[[FunctionBuilder], None]) -> Callable[[Any], FunctionBuilder]:
        def decorate(decorated: Any) -> FunctionBuilder:
            if isinstance(decorated, FunctionBuilder):
                builder = decorated
            else:
                builder = FunctionBuilder(decorated)
                self._builders.append(builder)
            change(builder)
            return builder

        return decorate


class DFApp(Blueprint):
    """A durable app. The component is made from the one in `function_app.py`."""

    def register_functions(self, blueprint: Blueprint) -> None:
        """Includes the functions of a blueprint."""
        self._builders.extend(blueprint._builders)

    register_blueprint = register_functions

    def functions(self) -> list[Function]:
        """The functions that Dacapo runs."""
        return [function for builder in self._builders if (function := builder.function()) is not None]

    def functions_of_others(self) -> list[tuple[str, str]]:
        """The names and triggers of the functions that it does not run."""
        return [
            (builder.name, builder.trigger.type if builder.trigger else "no trigger")
            for builder in self._builders
            if builder.trigger is None or builder.trigger.kind is None
        ]


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)

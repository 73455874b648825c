"""Apps in the programming model with decorators (v2 of Azure Functions for Python)."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from typing import Any

from dacapo.bindings import RETURN, Binding
from dacapo.declaration import Declaration, FunctionBuilder

Decorator = Callable[[Any], FunctionBuilder]


class AuthLevel(enum.Enum):
    """The key that a request needs to run the function of an HTTP trigger."""

    FUNCTION = "function"
    ANONYMOUS = "anonymous"
    ADMIN = "admin"


class HttpMethod(enum.Enum):
    """A method of HTTP."""

    GET = "GET"
    POST = "POST"
    DELETE = "DELETE"
    HEAD = "HEAD"
    PATCH = "PATCH"
    PUT = "PUT"
    OPTIONS = "OPTIONS"


class Cardinality(enum.Enum):
    """How many events the trigger of an event hub gives to one call."""

    ONE = "one"
    MANY = "many"


# Decorators of Azure Functions for bindings that Dacapo does not have and whose types their names do not tell.
_OTHER_TRIGGERS = {
    "cosmos_db_trigger": "cosmosDBTrigger",
    "cosmos_db_trigger_v3": "cosmosDBTrigger",
    "mcp_tool": "mcpToolTrigger",
    "service_bus_queue_trigger": "serviceBusTrigger",
    "service_bus_topic_trigger": "serviceBusTrigger",
    "warm_up_trigger": "warmupTrigger",
}
_OTHER_TYPES = {"cosmos_db": "cosmosDB", "service_bus_queue": "serviceBus", "service_bus_topic": "serviceBus"}
_SETTINGS = {"http_type", "mcp_tool_property"}


class Blueprint:
    """Functions that an app includes with `register_functions`.

    Triggers and bindings that Dacapo does not have are accepted, so that sources of existing apps load. Their functions
    are left out, and the build names them.
    """

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        # Of the app: the level of a blueprint has no effect, as in the original.
        self.auth_level = _value(http_auth_level, AuthLevel)
        self._builders: list[FunctionBuilder] = []

    # Durable functions.

    def orchestration_trigger(
        self, context_name: str, orchestration: str | None = None, input_type: type | None = None
    ) -> Decorator:
        """Declares an orchestrator: a generator function, or an `async` one."""
        decorate = self._binding("orchestrationTrigger", "in", context_name, orchestration=orchestration)

        def decorate_with_type(decorated: Any) -> FunctionBuilder:
            builder = decorate(decorated)
            builder.input_type = input_type
            return builder

        return decorate_with_type

    def activity_trigger(self, input_name: str, activity: str | None = None) -> Decorator:
        """Declares an activity, plain or `async`."""
        return self._binding("activityTrigger", "in", input_name, activity=activity)

    def entity_trigger(self, context_name: str, entity_name: str | None = None) -> Decorator:
        """Declares an entity: a function that runs one operation."""
        return self._binding("entityTrigger", "in", context_name, entityName=entity_name)

    def durable_client_input(
        self, client_name: str, task_hub: str | None = None, connection_name: str | None = None
    ) -> Decorator:
        """Gives a client of the app's task hub to an activity, or to a function with another trigger."""
        return self._binding("durableClient", "in", client_name, taskHub=task_hub, connectionName=connection_name)

    # Triggers.

    def route(
        self,
        route: str | None = None,
        trigger_arg_name: str = "req",
        binding_arg_name: str = RETURN,
        methods: Iterable[str | HttpMethod] | None = None,
        auth_level: AuthLevel | str | None = None,
        trigger_extra_fields: dict[str, Any] | None = None,
        binding_extra_fields: dict[str, Any] | None = None,
    ) -> Decorator:
        """Declares a function for HTTP requests. The route is by default the name of the function, below the host's
        prefix `api`; without methods it takes all of them; the level is by default that of the app."""
        of_trigger = {
            "route": None if route is None else route.removeprefix("/"),
            "methods": None if methods is None else [_value(method, HttpMethod).lower() for method in methods],
            "authLevel": None if auth_level is None else _value(auth_level, AuthLevel),
            **(trigger_extra_fields or {}),
        }
        trigger = self._binding("httpTrigger", "in", trigger_arg_name, **of_trigger)
        output = self._binding("http", "out", binding_arg_name, **(binding_extra_fields or {}))
        return lambda decorated: output(trigger(decorated))

    def timer_trigger(
        self,
        arg_name: str,
        schedule: str,
        run_on_startup: bool | None = None,
        use_monitor: bool | None = None,
        data_type: Any = None,
        **more: Any,
    ) -> Decorator:
        """Declares a function that runs on a schedule, such as `0 */5 * * * *`: second, minute, hour, day, month, and
        day of the week."""
        of_timer = {"schedule": schedule, "runOnStartup": run_on_startup, "useMonitor": use_monitor}
        return self._binding("timerTrigger", "in", arg_name, **of_timer, dataType=data_type, **more)

    schedule = timer_trigger

    def queue_trigger(
        self, arg_name: str, queue_name: str, connection: str | None = None, data_type: Any = None, **more: Any
    ) -> Decorator:
        """Declares a function for the messages of a queue, one at a time."""
        of_queue = {"queueName": queue_name, "connection": connection, "dataType": data_type}
        return self._binding("queueTrigger", "in", arg_name, **of_queue, **more)

    def event_hub_message_trigger(
        self,
        arg_name: str,
        connection: str | None = None,
        event_hub_name: str | None = None,
        data_type: Any = None,
        cardinality: Cardinality | str | None = None,
        consumer_group: str | None = None,
        **more: Any,
    ) -> Decorator:
        """Declares a function for events of an event hub: one at a time, or a list with the cardinality `many`."""
        of_hub = {
            "connection": connection,
            "eventHubName": event_hub_name,
            "dataType": data_type,
            "cardinality": None if cardinality is None else _value(cardinality, Cardinality),
            "consumerGroup": consumer_group,
        }
        return self._binding("eventHubTrigger", "in", arg_name, **of_hub, **more)

    def event_grid_trigger(self, arg_name: str, data_type: Any = None, **more: Any) -> Decorator:
        """Declares a function for events of Event Grid, one at a time."""
        return self._binding("eventGridTrigger", "in", arg_name, dataType=data_type, **more)

    def generic_trigger(self, arg_name: str, type: str, data_type: Any = None, **more: Any) -> Decorator:
        """Declares a function with a trigger of any type, as in a `function.json`."""
        return self._binding(type, "in", arg_name, **{"dataType": data_type, **more})

    # Other bindings.

    def queue_output(
        self, arg_name: str, queue_name: str, connection: str | None = None, data_type: Any = None, **more: Any
    ) -> Decorator:
        """Gives a function an output for messages of a queue."""
        of_queue = {"queueName": queue_name, "connection": connection, "dataType": data_type}
        return self._binding("queue", "out", arg_name, **of_queue, **more)

    def event_hub_output(
        self,
        arg_name: str,
        connection: str | None = None,
        event_hub_name: str | None = None,
        data_type: Any = None,
        **more: Any,
    ) -> Decorator:
        """Gives a function an output for events of an event hub."""
        of_hub = {"connection": connection, "eventHubName": event_hub_name, "dataType": data_type}
        return self._binding("eventHub", "out", arg_name, **of_hub, **more)

    def generic_input_binding(self, arg_name: str, type: str, data_type: Any = None, **more: Any) -> Decorator:
        """Gives a function an input of any type, as in a `function.json`."""
        return self._binding(type, "in", arg_name, **{"dataType": data_type, **more})

    def generic_output_binding(self, arg_name: str, type: str, data_type: Any = None, **more: Any) -> Decorator:
        """Gives a function an output of any type, as in a `function.json`."""
        return self._binding(type, "out", arg_name, **{"dataType": data_type, **more})

    def __getattr__(self, name: str) -> Callable[..., Decorator]:
        """Any other decorator of Azure Functions: a binding that Dacapo does not have, or a setting."""
        if name in _OTHER_TRIGGERS or name.endswith("_trigger"):
            return lambda arg_name="", *_, **__: self._binding(
                _OTHER_TRIGGERS.get(name, _camel_case(name)), "in", arg_name
            )
        if other := re.fullmatch(r"(.+)_(input|output)(_v3)?", name):
            type_ = _OTHER_TYPES.get(other[1], _camel_case(other[1]))
            return lambda arg_name="", *_, **__: self._binding(type_, other[2].removesuffix("put"), arg_name)
        if name in _SETTINGS:
            return lambda *_, **__: self._decorator(lambda _: None)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # Settings.

    def function_name(self, name: str, setting_extra_fields: dict[str, Any] | None = None) -> Decorator:
        """Sets a name other than that of the `def`."""
        return self._decorator(lambda builder: setattr(builder, "given_name", name))

    def retry(self, *_: Any, **__: Any) -> Decorator:
        """Accepted, and not used: the build says so."""
        return self._decorator(lambda builder: setattr(builder, "has_retry", True))

    def _binding(self, type: str, direction: str, name: str, **more: Any) -> Decorator:
        if not isinstance(name, str):
            raise TypeError(
                "a binding is given the name of a parameter, as in `@app.activity_trigger(input_name='city')`"
            )
        of_type = {_camel_case(member): _plain(value) for member, value in more.items() if value is not None}
        binding: Binding = {"type": type, "direction": direction, "name": name, **of_type}
        return self._decorator(lambda builder: builder.add(binding))

    def _decorator(self, change: Callable[[FunctionBuilder], None]) -> Decorator:
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
    """A function app. The component is made from the one in `function_app.py`."""

    def register_functions(self, blueprint: Blueprint) -> None:
        """Includes the functions of a blueprint."""
        if isinstance(blueprint, DFApp):
            raise TypeError("an app registers the functions of a Blueprint, not those of another app")
        self._builders.extend(blueprint._builders)

    register_blueprint = register_functions

    def declarations(self) -> list[Declaration]:
        """All functions as they are declared."""
        return [builder.declaration() for builder in self.get_functions()]

    def get_functions(self) -> list[FunctionBuilder]:
        """All decorated functions, with the level of the app."""
        for builder in self._builders:
            builder.auth_level = self.auth_level
        return list(self._builders)


def _value(given: Any, kind: type[enum.Enum]) -> str:
    """The value of a member of an enum that is given by itself or by its name."""
    if isinstance(given, str) and given.upper() in kind.__members__:
        return kind[given.upper()].value
    if isinstance(given, kind):
        return given.value
    raise ValueError(f"{given!r} is none of {', '.join(member.name for member in kind)}")


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)

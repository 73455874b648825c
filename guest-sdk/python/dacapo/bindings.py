"""The bindings of functions, as in a `function.json`: which ones Dacapo has, and what to do without the others."""

from __future__ import annotations

import enum
from typing import Any

Binding = dict[str, Any]
"""`type`, `direction`, `name`, and what else belongs to the type."""


class Kind(enum.Enum):
    """The kind of a durable function: the type of its trigger."""

    ORCHESTRATOR = "orchestrationTrigger"
    ACTIVITY = "activityTrigger"
    ENTITY = "entityTrigger"


RETURN = "$return"
"""The name of an output that is what the function returns."""

_DURABLE_TRIGGERS = tuple(kind.value for kind in Kind)
_TRIGGERS = ("httpTrigger", "timerTrigger", "queueTrigger", "eventHubTrigger", "eventGridTrigger", "manualTrigger")
_OUTPUTS = ("http", "queue", "eventHub")
_CLIENTS = ("durableClient", "orchestrationClient")
"""The second is the name in older apps."""

_KNOWN = {name.lower(): name for name in (*_DURABLE_TRIGGERS, *_TRIGGERS, *_OUTPUTS, *_CLIENTS)}

_INSTEAD_OF_TRIGGERS = {
    "blobtrigger": "let the writer of the blob send a queue message or an Event Grid event",
    "cosmosdbtrigger": "let the writer send a queue message, or look for changes on a timer",
    "kafkatrigger": "use an event hub trigger",
    "servicebustrigger": "use a queue trigger",
    "sqltrigger": "let the writer send a queue message, or look for changes on a timer",
    "warmuptrigger": "nothing is needed: an instance starts with the app loaded",
}
_INSTEAD_OF_BINDINGS = {
    "eventgrid": "send the event to the topic over HTTP",
    "kafka": "use an event hub output",
    "servicebus": "use a queue output",
}


class LeftOut(Exception):
    """A function that Dacapo does not run: why, and what to do instead."""


def normal(bindings: list[Binding]) -> list[Binding]:
    """The bindings with the words of Azure Functions as the contract spells them. Azure compares them ignoring case."""
    return [_normal(binding) for binding in bindings]


def _normal(binding: Binding) -> Binding:
    given = {name: value for name, value in binding.items() if value is not None}
    type_ = str(given.get("type"))
    type_ = _KNOWN.get(type_.lower(), type_)
    defaults = {"type": type_, "direction": "out" if given.get("name") == RETURN else "in"}
    if type_ == "eventHubTrigger":
        defaults["cardinality"] = "one"
    words = {name: _lower(given[name]) for name in _WORDS if name in given}
    return {**defaults, **given, "type": type_, **words}


_WORDS = ("direction", "authLevel", "cardinality", "methods")


def _lower(words: Any) -> Any:
    return [_lower(word) for word in words] if isinstance(words, list) else str(words).lower()


def is_trigger(binding: Binding) -> bool:
    return str(binding.get("type")).lower().endswith("trigger")


def triggers_in(bindings: list[Binding]) -> list[Binding]:
    return [binding for binding in bindings if is_trigger(binding)]


def clients_in(bindings: list[Binding]) -> list[str]:
    """The parameters that take a durable client."""
    return [binding["name"] for binding in bindings if binding["type"] in _CLIENTS]


def outputs_in(bindings: list[Binding]) -> list[Binding]:
    return [binding for binding in bindings if binding["type"] in _OUTPUTS]


def check_run(bindings: list[Binding]) -> None:
    """Raises `LeftOut` if Dacapo does not run a function with these normal bindings."""
    triggers = triggers_in(bindings)
    if not triggers:
        raise LeftOut("it has no trigger, so nothing would ever run it")
    trigger = triggers[0]["type"]
    if trigger not in (*_DURABLE_TRIGGERS, *_TRIGGERS):
        instead = _INSTEAD_OF_TRIGGERS.get(trigger.lower(), "use another trigger, such as an HTTP or a queue trigger")
        raise LeftOut(f"Dacapo has no `{trigger}`. Instead, {instead}")
    for binding in bindings:
        if not is_trigger(binding) and binding["type"] not in _CLIENTS:
            _check_other(binding, trigger)


def _check_other(binding: Binding, trigger: str) -> None:
    type_, name, direction = binding["type"], binding.get("name"), binding["direction"]
    what = f"its binding `{name}` is a `{type_}`"
    if type_ not in _OUTPUTS:
        instead = _INSTEAD_OF_BINDINGS.get(
            type_.lower(), "call the service in the function, with a library or over HTTP"
        )
        raise LeftOut(f"{what}, which Dacapo does not have. Instead, {instead}")
    if direction != "out":
        raise LeftOut(f"{what} with the direction `{direction}`, and Dacapo has it only as an output")
    if trigger == Kind.ACTIVITY.value and type_ == "http":
        raise LeftOut(f"{what}, which only an HTTP trigger has. Instead, return the value to the orchestrator")
    if trigger in (Kind.ORCHESTRATOR.value, Kind.ENTITY.value):
        raise LeftOut(f"{what}, and an orchestrator or entity has no outputs. Instead, let an activity send the message")

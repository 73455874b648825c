"""The bindings of functions, as in a `function.json`: which ones Dacapo has, and what to do without the others."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
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
_QUEUES = ("queue", "eventHub")
_OUTPUTS = ("http", *_QUEUES)
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


@dataclass(frozen=True)
class Absent:
    """An input or output of a function that Dacapo does not have. The function runs without it."""

    type: str
    name: str
    is_output: bool
    instead: str
    """What to do instead."""

    def missing(self) -> str:
        """That it does not exist, as the first part of a sentence."""
        return f"Dacapo has no {'output' if self.is_output else 'input'} of the type `{self.type}`"


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
    others = [binding for binding in bindings if _is_absent(binding, trigger)]
    if trigger in (Kind.ORCHESTRATOR.value, Kind.ENTITY.value) and others:
        what = f"its binding `{others[0].get('name')}` is a `{others[0]['type']}`"
        raise LeftOut(f"{what}, and an orchestrator or entity has no such bindings. Instead, let an activity do it")


def split(bindings: list[Binding]) -> tuple[list[Binding], list[Absent]]:
    """The bindings that Dacapo has, and the others."""
    trigger = triggers_in(bindings)[0]["type"]
    here = [binding for binding in bindings if not _is_absent(binding, trigger)]
    return here, [_absent(binding) for binding in bindings if _is_absent(binding, trigger)]


def _is_absent(binding: Binding, trigger: str) -> bool:
    type_ = binding["type"]
    if is_trigger(binding) or type_ in _CLIENTS:
        return False
    outputs = {Kind.ORCHESTRATOR.value: (), Kind.ENTITY.value: (), Kind.ACTIVITY.value: _QUEUES}.get(trigger, _OUTPUTS)
    return type_ not in outputs or binding["direction"] != "out"


def _absent(binding: Binding) -> Absent:
    type_ = binding["type"]
    if type_ == "http":
        instead = "return the value to the orchestrator: only an HTTP trigger sends a response"
    else:
        in_general = "call the service in the function, with a library or over HTTP"
        instead = _INSTEAD_OF_BINDINGS.get(type_.lower(), in_general)
    return Absent(type_, binding["name"], binding["direction"] == "out", instead)


def sentences(absent: Iterable[tuple[str, Absent]]) -> list[str]:
    """What the build says of absent bindings, each with the name of its function: a sentence for each type."""
    places: dict[tuple[str, bool, str], list[str]] = {}
    for function, one in absent:
        effect = "what a function gives to it is not sent" if one.is_output else "its value is None"
        sentence = f"{effect}, and the log says so. Instead, {one.instead}"
        places.setdefault((one.missing(), one.is_output, sentence), []).append(f"`{one.name}` of `{function}`")
    return [f"{missing} ({', '.join(of)}): {sentence}" for (missing, _, sentence), of in places.items()]

"""What triggers give to functions, and take from them: from the JSON of the contract, and to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dacapo import messages, payload
from dacapo.bindings import RETURN, Binding, outputs_in
from dacapo.failure import Failure
from dacapo.http_messages import request_of, response_of
from dacapo.messages import Out


def argument_of(trigger: Binding, input_: dict[str, Any]) -> Any:
    """The value for the parameter that the trigger names."""
    if "input" in input_:
        return _RUN_BY_HAND[trigger["type"]](trigger, input_["input"])
    return _ARGUMENTS[trigger["type"]](trigger, input_)


def _event_hub_argument(trigger: Binding, input_: dict[str, Any]) -> Any:
    texts, metadata = input_["messages"], input_["metadata"]
    if trigger.get("cardinality") == "one":
        return messages.event_hub_event_of(texts[0], metadata[0])
    return messages.event_hub_events_of(texts, metadata)


_ARGUMENTS: dict[str, Callable[[Binding, dict[str, Any]], Any]] = {
    "httpTrigger": lambda _, input_: request_of(input_),
    "timerTrigger": lambda _, input_: messages.timer_of(input_),
    "queueTrigger": lambda _, input_: messages.queue_message_of(input_["message"], input_["metadata"]),
    "eventHubTrigger": _event_hub_argument,
    "eventGridTrigger": lambda _, input_: messages.event_grid_event_of(input_["event"]),
}


def _event_grid_argument(text: str) -> Any:
    try:
        event = payload.parse(text)
    except ValueError as error:
        raise Failure("InvalidInput", f"the input must be an event as JSON: {error}", retriable=False) from None
    if not isinstance(event, dict):
        raise Failure("InvalidInput", "the input must be an event, a JSON object", retriable=False)
    return messages.event_grid_event_of(event)


_RUN_BY_HAND: dict[str, Callable[[Binding, str], Any]] = {
    "timerTrigger": lambda *_: messages.TimerRequest(),
    "queueTrigger": lambda _, text: messages.queue_message_of(text, {}),
    "eventHubTrigger": lambda trigger, text: _event_hub_argument(trigger, {"messages": [text], "metadata": [{}]}),
    "eventGridTrigger": lambda _, text: _event_grid_argument(text),
    "manualTrigger": lambda _, text: text,
}
"""The arguments when an operator runs a function with a text."""


def outs_of(bindings: list[Binding]) -> dict[str, Out]:
    """A new `Out` for each parameter that is an output."""
    return {binding["name"]: Out() for binding in outputs_in(bindings) if binding["name"] != RETURN}


def output_of(bindings: list[Binding], returned: Any, outs: dict[str, Out]) -> str:
    """The output of a call as JSON."""
    types = {binding["name"]: binding["type"] for binding in outputs_in(bindings)}
    is_http = any(binding["type"] == "httpTrigger" for binding in bindings)
    if is_http and "http" not in types.values():
        types.setdefault(RETURN, "http")
    values = {name: out.get() for name, out in outs.items()}
    if RETURN in types:
        values[RETURN] = returned
    elif returned is not None:
        raise TypeError(
            f"the function returned a {type(returned).__name__}, but has no binding named `{RETURN}` for it"
        )
    given = {name: value for name, value in values.items() if value is not None}
    responses = [response_of(value) for name, value in given.items() if types[name] == "http"]
    sent = {name: messages.output_of(value) for name, value in given.items() if types[name] != "http"}
    output = {**({"response": responses[0]} if responses else {}), **({"outputs": sent} if sent else {})}
    return payload.encode(output or None, "the outputs", "InvalidOutput")

"""Timers, queue messages and events, as `azure.functions` has them, and values of outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from dacapo import payload

T = TypeVar("T")


class Out(Generic[T]):
    """An output of a function: a parameter whose value is sent when the function returns."""

    _value: T | None = None

    def set(self, val: T) -> None:
        """Sets the value. The last one is sent."""
        self._value = val

    def get(self) -> T | None:
        """The value; None if none is set."""
        return self._value


@dataclass(frozen=True, kw_only=True)
class TimerRequest:
    """A due time of a schedule."""

    past_due: bool = False
    """Whether it is later than it should be."""
    schedule_status: dict[str, Any] = field(default_factory=dict)
    """The texts `Last`, `Next` and `LastUpdated`."""
    schedule: dict[str, Any] = field(default_factory=dict)
    """`AdjustForDST`."""


class QueueMessage:
    """A message of a queue. A function may also send one."""

    def __init__(
        self,
        *,
        id: str | None = None,
        body: str | bytes | None = None,
        dequeue_count: int | None = None,
        expiration_time: datetime | None = None,
        insertion_time: datetime | None = None,
        time_next_visible: datetime | None = None,
        pop_receipt: str | None = None,
    ):
        self.id = id
        self._body = _bytes_of(body, "the body of a message")
        self.dequeue_count = dequeue_count
        """How often it has been delivered."""
        self.expiration_time = expiration_time
        self.insertion_time = insertion_time
        self.time_next_visible = time_next_visible
        """When it is delivered again if this delivery fails."""
        self.pop_receipt = pop_receipt

    def get_body(self) -> bytes:
        """The text, encoded."""
        return self._body

    def get_json(self) -> Any:
        """Parses the text as JSON. Raises `ValueError` if it is not JSON."""
        return payload.parse(self._body)

    def __repr__(self) -> str:
        return f"QueueMessage(id={self.id!r}, dequeue_count={self.dequeue_count!r})"


class EventHubEvent:
    """An event of an event hub."""

    def __init__(
        self,
        *,
        body: bytes,
        trigger_metadata: Mapping[str, Any] | None = None,
        enqueued_time: datetime | None = None,
        partition_key: str | None = None,
        sequence_number: int | None = None,
        offset: str | None = None,
        iothub_metadata: Mapping[str, str] | None = None,
    ):
        self._body = _bytes_of(body, "the body of an event")
        self.metadata = trigger_metadata
        """What is known of all events of the call."""
        self.enqueued_time = enqueued_time
        self.partition_key = partition_key
        self.sequence_number = sequence_number
        self.offset = offset
        self.iothub_metadata = iothub_metadata

    def get_body(self) -> bytes:
        """The text, encoded."""
        return self._body

    def __repr__(self) -> str:
        return f"EventHubEvent(sequence_number={self.sequence_number!r}, partition_key={self.partition_key!r})"


@dataclass(frozen=True, kw_only=True)
class EventGridOutputEvent:
    """An event in the schema of Event Grid, without a topic."""

    id: str
    data: Any = field(repr=False)
    subject: str
    event_type: str
    event_time: datetime | None
    data_version: str

    def get_json(self) -> Any:
        """The data of the event."""
        return self.data


@dataclass(frozen=True, kw_only=True)
class EventGridEvent(EventGridOutputEvent):
    """An event in the schema of Event Grid."""

    topic: str


class CloudEvent:
    """An event in the schema of CloudEvents 1.0. Other parameters are its extension attributes."""

    def __init__(
        self,
        /,
        *,
        id: str,
        source: str,
        type: str,
        specversion: str,
        data: Any,
        time: datetime | None = None,
        subject: str | None = None,
        datacontenttype: str | None = None,
        dataschema: str | None = None,
        **extensions: Any,
    ):
        self.id = id
        self.source = source
        self.type = type
        self.specversion = specversion
        self._data = data
        self.time = time
        self.subject = subject
        self.datacontenttype = datacontenttype
        self.dataschema = dataschema
        self.extension_attrs = extensions

    def get_json(self) -> Any:
        """The data of the event."""
        return self._data

    def __repr__(self) -> str:
        return f"CloudEvent(id={self.id!r}, source={self.source!r}, type={self.type!r})"


# From the contract.


def timer_of(input_: dict[str, Any]) -> TimerRequest:
    """The timer that the contract describes."""
    status, schedule = input_.get("scheduleStatus") or {}, input_.get("schedule") or {}
    return TimerRequest(
        past_due=bool(input_.get("isPastDue")),
        # The names that Azure Functions gives to Python.
        schedule_status={name[0].upper() + name[1:]: value for name, value in status.items()},
        schedule={"AdjustForDST": value for name, value in schedule.items() if name == "adjustForDST"},
    )


def queue_message_of(text: str, metadata: dict[str, Any]) -> QueueMessage:
    """The message that the contract describes."""
    return QueueMessage(
        id=metadata.get("id"),
        body=text,
        dequeue_count=metadata.get("dequeueCount"),
        expiration_time=_moment(metadata.get("expirationTime")),
        insertion_time=_moment(metadata.get("insertionTime")),
        time_next_visible=_moment(metadata.get("nextVisibleTime")),
        pop_receipt=metadata.get("popReceipt"),
    )


_SYSTEM_PROPERTIES = {
    "SequenceNumber": "sequenceNumber",
    "Offset": "offset",
    "PartitionKey": "partitionKey",
    "EnqueuedTimeUtc": "enqueuedTime",
}
"""The names that Azure Functions gives to Python, and those of the contract."""


def event_hub_events_of(texts: list[str], metadata: list[dict[str, Any]]) -> list[EventHubEvent]:
    """The events that the contract describes."""
    properties = [{name: known.get(of) for name, of in _SYSTEM_PROPERTIES.items()} for known in metadata]
    arrays = {f"{name}Array": [one[name] for one in properties] for name in _SYSTEM_PROPERTIES}
    of_all = {**arrays, "SystemPropertiesArray": properties}
    return [_event_hub_event(text, known, of_all) for text, known in zip(texts, properties, strict=True)]


def event_hub_event_of(text: str, metadata: dict[str, Any]) -> EventHubEvent:
    """The one event of a call with the cardinality `one`."""
    properties = {name: metadata.get(of) for name, of in _SYSTEM_PROPERTIES.items()}
    return _event_hub_event(text, properties, {**properties, "SystemProperties": properties})


def _event_hub_event(text: str, properties: dict[str, Any], metadata: dict[str, Any]) -> EventHubEvent:
    return EventHubEvent(
        body=text.encode(),
        trigger_metadata=metadata,
        enqueued_time=_moment(properties["EnqueuedTimeUtc"]),
        partition_key=properties["PartitionKey"],
        sequence_number=properties["SequenceNumber"],
        offset=properties["Offset"],
    )


_OF_CLOUD_EVENTS = ("id", "source", "type", "specversion", "data", "subject", "datacontenttype", "dataschema", "time")


def event_grid_event_of(event: dict[str, Any]) -> EventGridEvent | CloudEvent:
    """The event that the contract describes, in either schema."""
    if "specversion" in event:
        known = {name: event.get(name) for name in _OF_CLOUD_EVENTS}
        extensions = {name: value for name, value in event.items() if name not in known}
        return CloudEvent(**{**known, "time": _moment(known["time"])}, **extensions)
    return EventGridEvent(
        id=event.get("id"),
        topic=event.get("topic"),
        subject=event.get("subject"),
        event_type=event.get("eventType"),
        event_time=_moment(event.get("eventTime")),
        data=event.get("data"),
        data_version=event.get("dataVersion"),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


# To the contract.


def output_of(value: Any) -> Any:
    """The value of an output in the form of the contract: one message, or a list of them."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping):
        return [_message(one) for one in value]
    return _message(value)


def _message(value: Any) -> Any:
    """A text as it is; anything else is sent as JSON."""
    if isinstance(value, QueueMessage | EventHubEvent):
        value = value.get_body()
    if not isinstance(value, bytes | bytearray):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("a message must be UTF-8: encode other bytes, for example with base64") from None


def _bytes_of(body: str | bytes | None, what: str) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if body is not None and not isinstance(body, bytes | bytearray):
        raise TypeError(f"{what} must be a str or bytes, not {type(body).__name__}")
    return bytes(body or b"")

"""The context of an orchestrator."""

from __future__ import annotations

import json
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from dacapo import border, nesting, payload
from dacapo.action import (
    CallActivity,
    CallEntity,
    CallHttp,
    CallSubOrchestrator,
    EntityId,
    LockEntities,
    RetryOptions,
    entity_of,
    operation_of,
)
from dacapo.execution import Execution
from dacapo.declaration import FunctionName, name_of
from dacapo.task import AtomicTask, EventTask, TaskBase, TimerTask, WhenAllTask, WhenAnyTask, create_timer
from dacapo.web_address import web_address


class DurableOrchestrationContext:
    """The context of an orchestrator: its only access to the outside of its sandbox.

    Everything here is deterministic: on replay each method returns what it returned the first time, and the time does
    not advance between two waits. A method that returns a task does nothing until it is yielded, awaited or started.
    """

    def __init__(self, execution: Execution, input_: str, input_type: type | None = None):
        self._execution = execution
        self._host = execution.host
        self._input = input_
        self._input_type = input_type
        self._custom_status: Any = None
        self._uuid_count = 0

    # The instance.

    @property
    def instance_id(self) -> str:
        """The id of this instance."""
        return self._host.instance_id()

    @property
    def execution_id(self) -> str:
        """The id of this execution; `continue_as_new` begins a new one."""
        return self._host.execution_id()

    @property
    def parent_instance_id(self) -> str | None:
        """The id of the parent, if this is a sub-orchestration."""
        return self._host.parent_instance_id()

    @property
    def version(self) -> str | None:
        """The version label that the instance was started with."""
        return self._host.version() or None

    @property
    def is_replaying(self) -> bool:
        """Whether the code is being replayed. A decision that depends on it diverges; log lines do not need it."""
        return self._host.is_replaying()

    @property
    def current_utc_datetime(self) -> datetime:
        """The current time, in UTC: the time of the turn, the same on replay."""
        return self._host.current_time()

    @property
    def custom_status(self) -> Any:
        """The custom status that was set last."""
        return self._custom_status

    @property
    def will_continue_as_new(self) -> bool:
        """Whether `continue_as_new` was called."""
        return self._execution.continues_as_new

    @property
    def histories(self) -> typing.NoReturn:
        """Not available: the host keeps the history and replays it. `dacapo get-history` shows it."""
        raise NotImplementedError("a guest has no history: the host keeps it, and its management API shows it")

    @property
    def function_context(self) -> types.SimpleNamespace:
        """Attributes of the trigger other than an orchestrator's own. There are none."""
        return types.SimpleNamespace()

    def get_input(self, expected_type: type | None = None) -> Any:
        """The input; None if there is none."""
        expected = expected_type or self._input_type
        # An SDK has encoded the input of a parent; that of a client may be encoded twice, as the Python client does.
        if self.parent_instance_id is not None:
            return payload.decode(self._input, expected)
        return payload.decode_start_input(self._input, expected)

    # Tasks.

    def call_activity(self, name: FunctionName, input_: Any = None, expected_type: type | None = None) -> TaskBase:
        """Calls an activity, by name or by its decorated function."""
        return self._task(CallActivity(name_of(name), _encode_input(name, input_)), expected_type)

    def call_activity_with_retry(
        self, name: FunctionName, retry_options: RetryOptions, input_: Any = None, expected_type: type | None = None
    ) -> TaskBase:
        """Calls an activity, with retries if it fails. The host keeps the schedule."""
        retry_options = _retry_options(retry_options)
        return self._task(CallActivity(name_of(name), _encode_input(name, input_), retry_options), expected_type)

    def call_sub_orchestrator(
        self,
        name: FunctionName,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type | None = None,
    ) -> TaskBase:
        """Calls a child orchestration. Without an instance id the host derives one from this execution.

        With a version it runs on the code that a client's start with that version would get.
        """
        return self._call_child(name, input_, instance_id, None, version, expected_type)

    def call_sub_orchestrator_with_retry(
        self,
        name: FunctionName,
        retry_options: RetryOptions,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type | None = None,
    ) -> TaskBase:
        """Calls a child orchestration, with retries if it fails. Each attempt is a new instance."""
        return self._call_child(name, input_, instance_id, _retry_options(retry_options), version, expected_type)

    def _call_child(
        self,
        name: FunctionName,
        input_: Any,
        instance_id: str | None,
        retry: RetryOptions | None,
        version: str | None,
        expected_type: type | None,
    ) -> TaskBase:
        instance_id = border.optional_new_id(instance_id)
        version = None if version is None else border.label(version, "version")
        action = CallSubOrchestrator(name_of(name), _encode_input(name, input_), instance_id, retry, version)
        return self._task(action, expected_type)

    def create_timer(self, fire_at: datetime) -> TimerTask:
        """Creates a timer that fires at a point in time, however far away. Without a time zone it is in UTC."""
        return create_timer(self._execution, fire_at)

    def wait_for_external_event(self, name: str, expected_type: type | None = None) -> EventTask:
        """Waits for the next unread external event of that name (compared ignoring case). Earlier events are kept, in
        order."""
        name = border.name(name, "the name of an event")
        return EventTask(self._execution, name, partial(payload.decode, expected_type=expected_type))

    def call_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None, expected_type: type | None = None
    ) -> TaskBase:
        """Calls an operation of an entity. The entity is created if it does not exist."""
        entity, operation = operation_of(entityId, operationName)
        input_ = payload.encode(operationInput, f"the input of `{operation}` of {entity}")
        return self._task(CallEntity(entity, operation, input_), expected_type)

    def lock_entities(self, *entities: EntityId) -> TaskBase:
        """Locks entities, for a critical section. The result is a `DurableLock`, to be released or used in a `with`."""
        if not entities:
            raise ValueError("lock_entities needs at least one EntityId")
        wanted = tuple(entity_of(entity, "each of lock_entities") for entity in entities)
        return AtomicTask(self._execution, LockEntities(wanted), lambda _: DurableLock(self._host.unlock_entities))

    def call_http(
        self,
        method: str,
        uri: str,
        content: Any = None,
        headers: dict[str, str] | None = None,
        token_source: TokenSource | None = None,
        is_raw_str: bool = False,
        *,
        enable_polling: bool = True,
    ) -> TaskBase:
        """Sends an HTTP request. The result has `statusCode`, `headers` and `content`.

        The content is sent as JSON; with `is_raw_str` it is a text that is sent unchanged. A 202 with a `Location` is
        polled until the response is not a 202, unless `enable_polling` is false.
        """
        if token_source is not None:
            raise NotImplementedError("call_http: a token_source needs Azure; put the token into the headers")
        if is_raw_str and not isinstance(content, str):
            raise TypeError(f"call_http: is_raw_str is for a content that is a str, not a {type(content).__name__}")
        border.instance(enable_polling, bool, "enable_polling")
        request: dict[str, Any] = {"method": border.text(method, "method"), "uri": web_address(uri, "uri")}
        if headers is not None:
            pairs = border.instance(headers, Mapping, "headers").items()
            texts = {border.well_formed(str(name)): border.text(value, f"the header {name}") for name, value in pairs}
            request["headers"] = texts
        if content is not None:
            nesting.check_value(content)
            request["content"] = border.well_formed(content) if is_raw_str else json.dumps(content)
        if not enable_polling:
            request["asynchronousPatternEnabled"] = False
        return self._task(CallHttp(payload.encode(request, "the request")), None)

    def task_all(self, activities: Iterable[TaskBase]) -> TaskBase:
        """Completes with the results of all tasks, in order; or with the first failure, when it occurs."""
        return WhenAllTask(border.several(activities, "task_all"))

    def task_any(self, activities: Iterable[TaskBase]) -> TaskBase:
        """Completes with the task that completes first, as the result. The others continue; cancel timers yourself."""
        return WhenAnyTask(border.several(activities, "task_any"))

    # Actions without a task.

    def signal_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None, deliver_at: datetime | None = None
    ) -> None:
        """Sends a one-way operation to an entity. It runs as soon as possible, or not before `deliver_at`."""
        entity, operation = operation_of(entityId, operationName)
        if deliver_at is not None:
            border.instance(deliver_at, datetime, "deliver_at")
        input_ = payload.encode(operationInput, f"the input of `{operation}` of {entity}")
        self._host.signal_entity(entity, operation, input_, deliver_at)

    def start_orchestration(self, name: FunctionName, input_: Any = None, instance_id: str | None = None) -> str:
        """Starts an orchestration that runs on its own, and returns its instance id."""
        encoded = payload.encode_start_input(input_, f"the input of `{name_of(name)}`")
        new = border.optional_new_id(instance_id)
        if new is not None and new in (self.instance_id, self.parent_instance_id):
            raise ValueError(f"instance_id {new!r} is that of this instance or its parent: what is started needs another")
        return self._host.start_orchestration(name_of(name), encoded, new)

    def send_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Raises an external event for another instance."""
        instance_id, name = border.id_(instance_id, "instance_id"), border.name(name, "the name of an event")
        self._host.send_event(instance_id, name, payload.encode(data, f"the data of the event `{name}`"))

    def continue_as_new(self, input_: Any) -> None:
        """Restarts with a new input and an empty history, once the function returns. Unread events are kept."""
        encode = payload.encode if self.parent_instance_id is not None else payload.encode_start_input
        self._host.continue_as_new(encode(input_, "the input of continue_as_new"))
        self._execution.continues_as_new = True

    def set_custom_status(self, status: Any) -> None:
        """Sets the custom status, which status queries return: at most 16 KiB of JSON."""
        self._host.set_custom_status(payload.encode(status, "the custom status"))
        self._custom_status = status

    # Unique ids.

    def new_guid(self) -> uuid.UUID:
        """Makes a new unique id, the same on replay."""
        return uuid.UUID(self._host.new_guid())

    def new_uuid(self) -> str:
        """The same as a text."""
        return str(self.new_guid())

    def _task(self, action: Any, expected_type: type | None) -> AtomicTask:
        return AtomicTask(self._execution, action, partial(payload.decode, expected_type=expected_type))


class DurableLock:
    """A critical section. It ends when it is released, at the end of a `with`, or at the latest with the execution."""

    def __init__(self, unlock: Callable[[], bool]):
        self._unlock = unlock

    def release(self) -> None:
        """Ends the critical section."""
        self._unlock()

    def __enter__(self) -> DurableLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class TokenSource:
    """A source of tokens for HTTP requests."""


class ManagedIdentityTokenSource(TokenSource):
    """A managed identity of Azure. They do not exist outside Azure, so `call_http` refuses it."""

    def __init__(self, resource: str):
        self.resource = resource


def _retry_options(options: Any) -> RetryOptions:
    return border.instance(options, RetryOptions, "retry_options").checked()


def _encode_input(name: FunctionName, input_: Any) -> str:
    return payload.encode(input_, f"the input of `{name_of(name)}`")

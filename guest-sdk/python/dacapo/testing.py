"""Runs orchestrators, activities and entities without a host, against a script.

    from dacapo.testing import Script

    def test_an_order_waits_three_days_for_its_approval():
        script = Script()
        script.activity("reserve", lambda item: f"reservation of {item}")
        script.event("Approval", True, after=timedelta(days=2))

        run = script.run(order, "a lamp")

        assert run.output == "reservation of a lamp is on its way"
        assert run.calls == [("reserve", "a lamp")]
        assert run.elapsed == timedelta(days=2)

Waiting takes no real time. Activities and sub-orchestrations take no time unless the script sets one.
"""

from __future__ import annotations

import base64
import inspect
import json
import random
import typing
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from dacapo import payload
from dacapo.action import (
    Action,
    CallActivity,
    CallEntity,
    CallHttp,
    CallSubOrchestrator,
    CreateTimer,
    EntityId,
    LockEntities,
    RetryOptions,
    WaitForExternalEvent,
)
from dacapo.bindings import RETURN, Kind
from dacapo.calls import ActivityCall, TriggerCall
from dacapo.declaration import FunctionBuilder, name_of
from dacapo.entity import Operation
from dacapo.failure import Failure
from dacapo.function import CALL_PARAMETER, ClientFunction, Function
from dacapo.http_messages import HttpRequest, HttpResponse
from dacapo.messages import EventGridEvent, EventHubEvent, Out, QueueMessage, TimerRequest
from dacapo.runner import Runner

_NEVER = datetime.max.replace(tzinfo=timezone.utc)
_NO_TIME = timedelta()


@dataclass(frozen=True)
class StartOrchestration:
    name: str
    input: str
    instance_id: str
    version: str | None = None
    start_at: datetime | None = None


@dataclass(frozen=True)
class SendEvent:
    instance_id: str
    name: str
    data: str


@dataclass(frozen=True)
class SignalEntity:
    entity: EntityId
    operation: str
    input: str
    deliver_at: datetime | None


@dataclass(frozen=True)
class Enqueue:
    queue: str
    messages: tuple[str, ...]
    deliver_at: datetime | None = None


@dataclass(frozen=True)
class ManageInstance:
    operation: str
    """`terminate`, `suspend`, `resume`, `rewind`, `restart` or `purge`."""
    instance_id: str
    reason: str = ""


@dataclass(frozen=True)
class SetCustomStatus:
    status: str


@dataclass(frozen=True)
class ContinueAsNew:
    input: str


@dataclass
class ScriptedRun:
    """The actions of an orchestrator, and its outcome."""

    actions: list[Any]
    """All actions, in order: the dataclasses of `dacapo.action` and of this module."""
    elapsed: timedelta
    failure: Failure | None = None
    _output: str = "null"

    @property
    def output(self) -> Any:
        """The output. Raises the failure if the orchestrator failed."""
        if self.failure is not None:
            raise self.failure
        return json.loads(self._output)

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The activities that it called, with their inputs."""
        return [(action.name, json.loads(action.input)) for action in self.actions if isinstance(action, CallActivity)]

    @property
    def custom_status(self) -> Any:
        """The custom status that it set last."""
        statuses = [action.status for action in self.actions if isinstance(action, SetCustomStatus)]
        return json.loads(statuses[-1]) if statuses else None

    @property
    def continued_as_new(self) -> ContinueAsNew | None:
        """The action that continues as new, with the next input, or None."""
        continued = [action for action in self.actions if isinstance(action, ContinueAsNew)]
        return continued[-1] if continued else None


@dataclass
class _Answers:
    """The answers to calls of one function: results of a function, or values in order, the last one repeatedly."""

    give: Callable[..., Any]
    takes: timedelta

    @classmethod
    def of(cls, outcomes: tuple[Any, ...], takes: timedelta) -> _Answers:
        if len(outcomes) == 1 and isinstance(outcomes[0], FunctionBuilder):
            return cls(lambda input_: run_activity(outcomes[0], input_).result, takes)
        if len(outcomes) == 1 and callable(outcomes[0]) and not isinstance(outcomes[0], type):
            return cls(outcomes[0], takes)
        values = list(outcomes) or [None]
        return cls(lambda *_: values.pop(0) if len(values) > 1 else values[0], takes)

    def answer(self, *arguments: Any) -> str | Failure:
        try:
            value = self.give(*arguments)
            if isinstance(value, BaseException):
                raise value
            return payload.encode(value, "an answer of the script")
        except Exception as error:
            return Failure.of(error)


@dataclass
class _Event:
    name: str
    data: str
    at: datetime


class Script:
    """The answers and events of one run of an orchestrator.

    An answer is a value, an exception, which fails the call, or a function that takes the input. Each call takes the
    next value; the last one is repeated.
    """

    def __init__(
        self,
        *,
        start: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc),
        instance_id: str = "test",
        parent_instance_id: str | None = None,
        version: str = "",
    ):
        self.start = start
        self.instance_id = instance_id
        self.parent_instance_id = parent_instance_id
        self.version = version
        self._answers: dict[tuple[type, str], _Answers] = {}
        self._events: list[_Event] = []
        self._instances: dict[str, dict[str, Any]] = {}
        self._entity_states: dict[EntityId, Any] = {}

    def activity(self, name: str | FunctionBuilder | Callable, *outcomes: Any, takes: timedelta = _NO_TIME) -> Script:
        """Answers the calls of an activity. A decorated activity without an answer is run itself."""
        return self._answer(CallActivity, name_of(name), outcomes or _itself(name), takes)

    def sub_orchestrator(self, name: str | FunctionBuilder, *outcomes: Any, takes: timedelta = _NO_TIME) -> Script:
        """Answers the calls of a sub-orchestration, and ends an orchestration that a client starts."""
        return self._answer(CallSubOrchestrator, name_of(name), outcomes, takes)

    def entity(self, name: str, *outcomes: Any, takes: timedelta = _NO_TIME) -> Script:
        """Answers the calls of entities with a name. A function takes the key, the operation and the input."""
        return self._answer(CallEntity, name.lower(), outcomes, takes)

    def http(self, *outcomes: Any, takes: timedelta = _NO_TIME) -> Script:
        """Answers HTTP requests with `{"statusCode", "headers", "content"}`. A function takes the request."""
        return self._answer(CallHttp, "", outcomes, takes)

    def instance(
        self,
        instance_id: str,
        name: str = "orchestrator",
        *,
        runtime_status: str = "Running",
        input_: Any = None,
        output: Any = None,
        custom_status: Any = None,
        history: Sequence[Any] = (),
    ) -> Script:
        """Adds an instance to those that a client finds."""
        status = _status(instance_id, name, runtime_status, self.start, input_, output, custom_status, list(history))
        self._instances[instance_id] = status
        return self

    def entity_state(self, entity: EntityId, state: Any) -> Script:
        """Sets the state of an entity that a client reads."""
        self._entity_states[entity] = state
        return self

    def event(self, name: str, data: Any = None, *, after: timedelta = _NO_TIME) -> Script:
        """Raises an external event, a duration after the start."""
        encoded = payload.encode(data, f"the data of the event `{name}`")
        self._events.append(_Event(name.lower(), encoded, self.start + after))
        return self

    def run(self, orchestrator: FunctionBuilder | Callable, input_: Any = None) -> ScriptedRun:
        """Runs an orchestrator: a decorated one, the `main` of a v1 app, or the function itself."""
        host = _ScriptedHost(self)
        user_function = orchestrator.user_function if isinstance(orchestrator, FunctionBuilder) else orchestrator
        name = orchestrator.name if isinstance(orchestrator, FunctionBuilder) else "orchestrator"
        runner = Runner([Function(name, Kind.ORCHESTRATOR, "context", user_function)])
        run = ScriptedRun(host.actions, _NO_TIME)
        encode = payload.encode if self.parent_instance_id else payload.encode_start_input
        try:
            run._output = runner.run_orchestrator(host, name, encode(input_, "the input"))
        except Failure as failure:
            run.failure = failure
        if host.error is not None:
            raise host.error
        run.elapsed = host.now - self.start
        return run

    def _answer(self, kind: type, name: str, outcomes: tuple[Any, ...], takes: timedelta) -> Script:
        self._answers[kind, name] = _Answers.of(outcomes, takes)
        return self


@dataclass
class ActivityRun:
    """The result of an activity, and its actions."""

    result: Any
    actions: list[Any] = field(default_factory=list)
    """What it did with a client: `StartOrchestration`, `SendEvent`, `SignalEntity`, `Enqueue`, `ManageInstance`."""


def run_activity(
    activity: FunctionBuilder | Callable, input_: Any = None, *, script: Script | None = None, attempt: int = 1
) -> ActivityRun:
    """Runs an activity, plain or `async`. Raises `Failure` if it fails.

    A client has the instances and the entities of the script. If the function is not decorated, its first parameter
    takes the input, and the others take clients.
    """
    client = _ScriptedClient(script or Script())
    function = (
        activity.declaration().function() if isinstance(activity, FunctionBuilder) else _classic_activity(activity)
    )
    if not isinstance(function, Function) or function.kind is not Kind.ACTIVITY:
        raise TypeError(f"`{name_of(activity)}` is no activity")
    call = ActivityCall(function.name, client.script.instance_id, 1, attempt, client, client)
    result = Runner([function]).run_activity(call, payload.encode(input_, "the input"))
    return ActivityRun(json.loads(result), client.actions)


def _classic_activity(main: Callable) -> Function:
    parameter, *clients = (name for name in inspect.signature(main).parameters if name != CALL_PARAMETER)
    return Function(main.__name__, Kind.ACTIVITY, parameter, main, clients=clients)


@dataclass
class TriggerRun:
    """What the function of a trigger gave, and its actions."""

    response: HttpResponse | None
    """The response to an HTTP request."""
    outputs: dict[str, Any]
    """The values of the other outputs, by their names."""
    actions: list[Any] = field(default_factory=list)
    """What it did with a client: `StartOrchestration`, `SendEvent`, `SignalEntity`, `Enqueue`, `ManageInstance`."""


def run_trigger(
    function: FunctionBuilder | ClientFunction | Callable,
    input_: Any = None,
    *,
    script: Script | None = None,
    attempt: int = 1,
) -> TriggerRun:
    """Runs the function of a trigger, plain or `async`. Raises `Failure` if it fails.

    The input is what the trigger gives: an `HttpRequest`, a `TimerRequest`, a `QueueMessage`, an `EventHubEvent` or a
    list of them, an `EventGridEvent`, or a text; a dict is the input in the form of the contract. A client has the
    instances and the entities of the script. If the function is not decorated, its first parameter takes the input,
    those with the annotation `Out` take outputs, and the others take clients.
    """
    client = _ScriptedClient(script or Script())
    if isinstance(function, FunctionBuilder):
        function = function.declaration().function()
    elif not isinstance(function, ClientFunction):
        function = _classic_client_function(function, input_)
    if not isinstance(function, ClientFunction):
        raise TypeError(f"`{function.name}` has no trigger but a durable one")
    call = TriggerCall(function.name, "invocation", attempt, client)
    runner = Runner([], [function])
    is_of_contract = isinstance(input_, dict)
    ran = runner.run_trigger(call, json.dumps(input_)) if is_of_contract else runner.run_client_function(call, input_)
    output = json.loads(ran) or {}
    return TriggerRun(_response(output.get("response")), output.get("outputs", {}), client.actions)


_TRIGGERS = {
    HttpRequest: "httpTrigger",
    TimerRequest: "timerTrigger",
    QueueMessage: "queueTrigger",
    EventHubEvent: "eventHubTrigger",
    list: "eventHubTrigger",
    EventGridEvent: "eventGridTrigger",
}


def _classic_client_function(main: Callable, input_: Any) -> ClientFunction:
    first, *others = (name for name in inspect.signature(main).parameters if name != CALL_PARAMETER)
    hints = typing.get_type_hints(main)
    trigger = {"type": _TRIGGERS.get(type(input_), "manualTrigger"), "name": first}
    outputs = [name for name in others if (typing.get_origin(hints.get(name)) or hints.get(name)) is Out]
    clients = [{"type": "durableClient", "name": name} for name in others if name not in outputs]
    returned = [] if trigger["type"] == "httpTrigger" else [{"type": "queue", "name": RETURN}]
    bindings = [trigger, *clients, *({"type": "queue", "name": name} for name in outputs), *returned]
    return ClientFunction(main.__name__, bindings, main)


def _response(given: dict[str, Any] | None) -> HttpResponse | None:
    if given is None:
        return None
    body = base64.b64decode(given["bodyBase64"]) if "bodyBase64" in given else given.get("body", "").encode()
    response = HttpResponse(body, status_code=given["status"])
    for name, value in given["headers"]:
        response.headers.add(name, value)
    return response


@dataclass
class EntityRun:
    """The result of an operation of an entity, and the new state."""

    result: Any
    state: Any
    exists: bool
    actions: list[Any] = field(default_factory=list)


def run_entity(
    entity: FunctionBuilder | Callable, operation: str, input_: Any = None, *, state: Any = None, key: str = "key"
) -> EntityRun:
    """Runs one operation of an entity on a state; None is no state. Raises `Failure` if it fails."""
    user_function = entity.user_function if isinstance(entity, FunctionBuilder) else entity
    name = entity.name if isinstance(entity, FunctionBuilder) else "entity"
    host = _ScriptedHost(Script())
    before = None if state is None else payload.encode(state, "the state")
    wanted = Operation(EntityId(name, key), operation, payload.encode(input_, "the input"), before)
    runner = Runner([Function(name, Kind.ENTITY, "context", user_function)])
    result, after = runner.run_entity_operation(host, wanted)
    left = None if after is None else json.loads(after)
    return EntityRun(json.loads(result), left, after is not None, host.actions)


def orchestrator_generator_wrapper(generator: Generator[Any, Any, Any]) -> Iterator[Any]:
    """Resumes a generator with the result of each task that it yields, and yields the tasks and the return value.

    For unit tests of existing apps, whose tasks are mocks.
    """
    try:
        task = next(generator)
        while True:
            yield task
            try:
                result = task.result
            except Exception as error:
                task = generator.throw(error)
            else:
                task = generator.send(result)
    except StopIteration as end:
        yield end.value


class _Watchable:
    """A handle that can be watched. The host has all watched handles by their numbers."""

    watched: dict[int, Any]

    def watch(self, number: int) -> None:
        self.watched[number] = self

    def unwatch(self) -> None:
        for number in [number for number, handle in self.watched.items() if handle is self]:
            del self.watched[number]


@dataclass(eq=False)
class _Pending(_Watchable):
    """A scheduled action, and when and how it will complete."""

    action: Action
    due: datetime
    result: str | Failure

    def outcome(self) -> str | Failure:
        return self.result

    def cancel(self) -> None:
        """Does nothing: the execution does not wait for it any more."""


class _EventWait(_Watchable):
    """A wait for an event, and the event that it got."""

    def __init__(self, action: WaitForExternalEvent, made: datetime, cancelled: Callable[[_EventWait], None]):
        self.action = action
        self.name = action.name.lower()
        self.event: _Event | None = None
        self.is_read = False
        self._made = made
        self._cancelled = cancelled

    @property
    def due(self) -> datetime:
        return max(self.event.at, self._made) if self.event else _NEVER

    def outcome(self) -> str:
        assert self.event is not None, "only what `wait_watched` named is asked"
        self.is_read = True
        return self.event.data

    def cancel(self) -> None:
        self._cancelled(self)


class _ScriptedHost:
    """A `dacapo.host.Host` whose clock jumps to the next event or completion."""

    def __init__(self, script: Script):
        self.now = script.start
        self.actions: list[Any] = []
        self.error: AssertionError | None = None
        """The error of a missing answer. Kept, because the orchestrator may catch the exception."""
        self._script = script
        self._unread = sorted(script._events, key=lambda event: event.at)
        self._event_waits: list[_EventWait] = []
        self._watched: dict[int, _Pending | _EventWait] = {}
        self._random = random.Random(0)
        self._started = 0

    def schedule(self, action: Action) -> _Pending | _EventWait:
        handle = self._schedule(action)
        handle.watched = self._watched
        return handle

    def _schedule(self, action: Action) -> _Pending | _EventWait:
        self.actions.append(action)
        match action:
            case CreateTimer(fire_at):
                return _Pending(action, fire_at, "null")
            case WaitForExternalEvent():
                return self._wait_for_event(action)
            case LockEntities():
                return _Pending(action, self.now, "null")
            case CallActivity(name, input_, retry) | CallSubOrchestrator(name, input_, retry=retry):
                return self._call(action, name, (payload.decode(input_),), retry)
            case CallEntity(entity, operation, input_):
                return self._call(action, entity.name.lower(), (entity.key, operation, payload.decode(input_)), None)
            case CallHttp(request):
                return self._call(action, "", (payload.decode(request),), None)

    def wait_watched(self) -> list[int]:
        self._deliver()
        soonest = min(handle.due for handle in self._watched.values())
        if soonest == _NEVER:
            waiting = ", ".join(repr(handle.action) for handle in self._watched.values())
            raise self._lack(f"the script has ended, but the orchestrator still waits for {waiting}")
        self.now = max(self.now, soonest)
        due = {number: handle.due for number, handle in self._watched.items() if handle.due <= self.now}
        for number in due:
            del self._watched[number]
        return sorted(due, key=due.__getitem__)

    def _call(self, action: Action, name: str, arguments: tuple, retry: RetryOptions | None) -> _Pending:
        answers = self._script._answers.get((type(action), name))
        if answers is None:
            raise self._lack(f"the script has no answer for {action!r}")
        due, interval, attempt = self.now, None, 1
        while True:
            due += answers.takes
            outcome = answers.answer(*arguments)
            if retry is None or not isinstance(outcome, Failure) or not _is_retried(outcome, attempt, retry):
                return _Pending(action, due, outcome)
            interval = _next_interval(interval, retry)
            attempt += 1
            due += interval
            if retry.retry_timeout_in_milliseconds is not None:
                if due - self.now >= timedelta(milliseconds=retry.retry_timeout_in_milliseconds):
                    return _Pending(action, due - interval, outcome)

    def _lack(self, message: str) -> AssertionError:
        self.error = AssertionError(message)
        return self.error

    def _wait_for_event(self, action: WaitForExternalEvent) -> _EventWait:
        wait = _EventWait(action, self.now, self._event_cancelled)
        self._event_waits.append(wait)
        return wait

    def _event_cancelled(self, wait: _EventWait) -> None:
        self._event_waits.remove(wait)
        self._put_back(wait)

    def _put_back(self, wait: _EventWait) -> None:
        if wait.event is not None and not wait.is_read:
            self._unread = sorted([wait.event, *self._unread], key=lambda event: event.at)
            wait.event = None

    def _deliver(self) -> None:
        """Puts back the unread events of waits that are no longer watched. Then gives events to the watched ones."""
        watched = list(self._watched.values())
        for wait in self._event_waits:
            if wait not in watched:
                self._put_back(wait)
        for wait in self._event_waits:
            if wait in watched and wait.event is None:
                wait.event = next((event for event in self._unread if event.name == wait.name), None)
                if wait.event is not None:
                    self._unread.remove(wait.event)

    def start_orchestration(self, name: str, input_: str, instance_id: str | None) -> str:
        self._started += 1
        started = StartOrchestration(name, input_, instance_id or f"{self._script.instance_id}:{self._started}")
        self.actions.append(started)
        return started.instance_id

    def send_event(self, instance_id: str, name: str, data: str) -> None:
        self.actions.append(SendEvent(instance_id, name, data))

    def signal_entity(self, entity: EntityId, operation: str, input_: str, deliver_at: datetime | None) -> None:
        self.actions.append(SignalEntity(entity, operation, input_, deliver_at))

    def unlock_entities(self) -> bool:
        return True

    def continue_as_new(self, input_: str) -> None:
        self.actions.append(ContinueAsNew(input_))

    def set_custom_status(self, status: str) -> None:
        self.actions.append(SetCustomStatus(status))

    def instance_id(self) -> str:
        return self._script.instance_id

    def execution_id(self) -> str:
        return "execution"

    def parent_instance_id(self) -> str | None:
        return self._script.parent_instance_id

    def version(self) -> str:
        return self._script.version

    def current_time(self) -> datetime:
        return self.now

    def new_guid(self) -> str:
        return str(uuid.UUID(bytes=self.random_bytes(16), version=4))

    def random_bytes(self, length: int) -> bytes:
        return self._random.randbytes(length)

    def is_replaying(self) -> bool:
        return False


class _ScriptedClient:
    """A `dacapo.host.Client`, and a `dacapo.host.Management`, of a task hub with the instances of a script."""

    def __init__(self, script: Script):
        self.script = script
        self.actions: list[Any] = []
        self._instances = dict(script._instances)
        self._started = 0

    def links(self, instance_id: str) -> str:
        instance = f"http://localhost/runtime/webhooks/durabletask/instances/{quote(instance_id, safe='')}"
        query = "taskHub=TestHubName&connection=Storage"
        with_reason = ("terminate", "rewind", "suspend", "resume")
        return json.dumps(
            {
                "id": instance_id,
                "statusQueryGetUri": f"{instance}?{query}",
                "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
                "purgeHistoryDeleteUri": f"{instance}?{query}",
                "restartPostUri": f"{instance}/restart?{query}",
                **{f"{verb}PostUri": f"{instance}/{verb}?reason={{text}}&{query}" for verb in with_reason},
            }
        )

    def start_orchestration(
        self,
        name: str,
        input_: str,
        instance_id: str | None,
        version: str | None,
        start_at: datetime | None = None,
    ) -> str:
        instance_id = instance_id or f"{self.script.instance_id}:started:{self._started}"
        self._started += 1
        if instance_id in self._instances and not self._has_ended(instance_id):
            raise Failure("InstanceAlreadyExists", f"an instance with the id '{instance_id}' already exists")
        self.actions.append(StartOrchestration(name, input_, instance_id, version, start_at))
        self._begin(instance_id, name, payload.decode_start_input(input_))
        return instance_id

    def _begin(self, instance_id: str, name: str, input_: Any) -> None:
        answers = self.script._answers.get((CallSubOrchestrator, name))
        outcome = None if answers is None else answers.answer(input_)
        runtime_status = "Pending" if outcome is None else "Failed" if isinstance(outcome, Failure) else "Completed"
        output = str(outcome) if isinstance(outcome, Failure) else outcome and json.loads(outcome)
        status = _status(instance_id, name, runtime_status, self.script.start, input_, output, None, [])
        self._instances[instance_id] = status

    def get_status(self, instance_id: str, options: str) -> str:
        status = self._instances.get(instance_id)
        return "null" if status is None else json.dumps(_shown(status, json.loads(options)))

    def list_instances(self, filter_: str) -> str:
        wanted = json.loads(filter_)
        return json.dumps(_page("instances", self._matching(wanted), wanted))

    def raise_event(self, instance_id: str, name: str, data: str) -> None:
        self._running(instance_id)
        self.actions.append(SendEvent(instance_id, name, data))

    def terminate(self, instance_id: str, reason: str) -> None:
        self._manage("terminate", self._running(instance_id), "Terminated", reason)

    def suspend(self, instance_id: str, reason: str) -> None:
        self._manage("suspend", self._running(instance_id), "Suspended", reason)

    def resume(self, instance_id: str, reason: str) -> None:
        self._manage("resume", self._running(instance_id), "Running", reason)

    def rewind(self, instance_id: str, reason: str) -> None:
        status = self._found(instance_id)
        if status["runtimeStatus"] != "Failed":
            raise Failure("NotRewindable", f"the instance '{instance_id}' has not failed")
        self._manage("rewind", status, "Running", reason)

    def restart(self, instance_id: str, new_instance_id: str | None) -> str:
        status = self._found(instance_id)
        new = new_instance_id or f"{instance_id}:restarted"
        if new in self._instances and not self._has_ended(new):
            raise Failure("InstanceAlreadyExists", f"an instance with the id '{new}' already exists")
        self.actions.append(ManageInstance("restart", instance_id))
        self._begin(new, status["name"], status["input"])
        return new

    def purge(self, instance_id: str) -> bool:
        if instance_id not in self._instances:
            return False
        if not self._has_ended(instance_id):
            raise Failure("InstanceNotEnded", f"the instance '{instance_id}' has not ended")
        self.actions.append(ManageInstance("purge", instance_id))
        del self._instances[instance_id]
        return True

    def purge_instances(self, filter_: str) -> int:
        matching = [status["instanceId"] for status in self._matching(json.loads(filter_))]
        return sum(self.purge(instance_id) for instance_id in matching if self._has_ended(instance_id))

    def wait_for_completion(self, instance_id: str, milliseconds: float) -> str:
        return self.get_status(instance_id, "{}")

    def signal_entity(self, entity: EntityId, operation: str, input_: str, deliver_at: datetime | None) -> None:
        self.actions.append(SignalEntity(entity, operation, input_, deliver_at))

    def enqueue(self, queue: str, messages: list[str], deliver_at: datetime | None) -> None:
        self.actions.append(Enqueue(queue, tuple(messages), deliver_at))

    def read_entity(self, entity: EntityId) -> str | None:
        states = self.script._entity_states
        return payload.encode(states[entity], f"the state of {entity}") if entity in states else None

    def list_entities(self, filter_: str) -> str:
        wanted = json.loads(filter_)
        name, time = wanted.get("entityName"), self.script.start.astimezone(timezone.utc).isoformat()
        entities = [
            {
                "entityId": {"name": entity.name, "key": entity.key},
                "lastOperationTime": time,
                **({"state": state} if wanted.get("fetchState") else {}),
            }
            for entity, state in self.script._entity_states.items()
            if name is None or entity.name.lower() == name.lower()
        ]
        return json.dumps(_page("entities", entities, wanted))

    def _found(self, instance_id: str) -> dict[str, Any]:
        if instance_id not in self._instances:
            raise Failure("InstanceNotFound", f"there is no instance with the id '{instance_id}'")
        return self._instances[instance_id]

    def _running(self, instance_id: str) -> dict[str, Any]:
        status = self._found(instance_id)
        if self._has_ended(instance_id):
            raise Failure("InstanceEnded", f"the instance '{instance_id}' has ended")
        return status

    def _has_ended(self, instance_id: str) -> bool:
        return self._instances[instance_id]["runtimeStatus"] in ("Completed", "Failed", "Terminated", "Canceled")

    def _manage(self, operation: str, status: dict[str, Any], runtime_status: str, reason: str) -> None:
        self.actions.append(ManageInstance(operation, status["instanceId"], reason))
        self._instances[status["instanceId"]] = {**status, "runtimeStatus": runtime_status}

    def _matching(self, filter_: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            _shown(status, filter_)
            for status in self._instances.values()
            if status["instanceId"].startswith(filter_.get("instanceIdPrefix", ""))
            and status["runtimeStatus"] in filter_.get("runtimeStatus", [status["runtimeStatus"]])
            and status["name"].lower() == filter_.get("functionName", status["name"]).lower()
            and filter_.get("createdTimeFrom", "") <= status["createdTime"] <= filter_.get("createdTimeTo", "9999")
        ]


def _status(
    instance_id: str,
    name: str,
    runtime_status: str,
    moment: datetime,
    input_: Any,
    output: Any,
    custom_status: Any,
    history: list[Any],
) -> dict[str, Any]:
    time = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "name": name,
        "instanceId": instance_id,
        "runtimeStatus": runtime_status,
        "input": input_,
        "customStatus": custom_status,
        "output": output,
        "createdTime": time,
        "lastUpdatedTime": time,
        "history": history,
        "historyEvents": history,
    }


def _page(name: str, items: list[dict[str, Any]], filter_: dict[str, Any]) -> dict[str, Any]:
    """The page of a list that a client asks for. The token is the number of items before it."""
    begin = int(filter_.get("continuationToken", 0))
    end = begin + filter_.get("top", len(items))
    return {name: items[begin:end], "continuationToken": str(end) if end < len(items) else None}


def _shown(status: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    hidden = () if options.get("showHistory") else ("history", "historyEvents")
    shown = {name: value for name, value in status.items() if name not in hidden}
    return shown if options.get("showInput", True) else {**shown, "input": None}


def _itself(name: Any) -> tuple[Any, ...]:
    return (name,) if isinstance(name, FunctionBuilder) else ()


def _is_retried(failure: Failure, attempt: int, retry: RetryOptions) -> bool:
    is_final = not failure.retriable or failure.error_type in retry.non_retriable_error_types
    return not is_final and attempt < retry.max_number_of_attempts


def _next_interval(previous: timedelta | None, retry: RetryOptions) -> timedelta:
    first = timedelta(milliseconds=retry.first_retry_interval_in_milliseconds)
    interval = first if previous is None else previous * retry.backoff_coefficient
    if retry.max_retry_interval_in_milliseconds is None:
        return interval
    return min(interval, timedelta(milliseconds=retry.max_retry_interval_in_milliseconds))

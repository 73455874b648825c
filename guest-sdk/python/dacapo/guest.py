"""The component: its exports, and the host behind its imports. Only the builder of an app imports this module."""

from __future__ import annotations

import json
import logging
import sys
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import wit_world
from componentize_py_types import Err, Ok
from wit_world.imports import client, management, orchestration
from wit_world.imports import dacapo_guest_types as types
from wit_world.imports import logging as host_log

from dacapo import action, event_loop, files, image, late_imports, layout, packing, sockets, source, stand_ins, tls, waiting, wasi_http
from dacapo.bindings import Kind
from dacapo.border import well_formed
from dacapo.calls import ActivityCall, TriggerCall
from dacapo.connections import Network
from dacapo.entity import Operation
from dacapo.failure import Failure
from dacapo.runner import Runner

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_KINDS = {
    Kind.ORCHESTRATOR: types.FunctionKind.ORCHESTRATOR,
    Kind.ACTIVITY: types.FunctionKind.ACTIVITY,
    Kind.ENTITY: types.FunctionKind.ENTITY,
}


_TIME_ZONES = "/usr/share/zoneinfo"
"""Where `zoneinfo` and `dateutil` look for time zones first."""

REPORT = "dacapo-report.json"
"""The report for the builder, in the folder of the app."""


def world(root: str, library: str) -> type[wit_world.WitWorld]:
    """The exports of the app in a folder. The app is loaded now, when the component is built, and then snapshotted.

    The folder `library` has what is the same for all apps: time zones, and the standard library."""
    report = Path(root, REPORT)
    source.relate_to(root)
    _keep_files(root, library)
    stand_ins.install()
    sys.modules["ssl"] = tls
    sockets.install(wasi_http.send)
    Network.wire = wasi_http.Wire()
    waiting.install()
    event_loop.install()
    try:
        app = layout.load(Path(root))
        warnings = late_imports.load(root)
        tls.relieve_requests()
    except layout.AppError as error:
        report.write_text(json.dumps({"error": str(error)}))
        raise
    except BaseException as error:
        source.remember()
        lacks = error.name if isinstance(error, ImportError) else None
        why = {"error": "the app cannot be loaded\n" + source.user_traceback(error), "lacks": lacks or ""}
        report.write_text(json.dumps(why))
        raise
    source.remember()
    functions = len(app.functions) + len(app.client_functions)
    report.write_text(json.dumps({"functions": functions, "warnings": [*app.warnings, *warnings]}))
    exports = _exports(Runner(app.functions, app.client_functions))
    files.settle()
    image.settle(root)
    return exports


def _keep_files(root: str, library: str) -> None:
    """Keeps the files that the builder has packed, and those of the standard library."""
    standard = Path(library, packing.STANDARD_LIBRARY)
    if not standard.exists():
        packing.copy_standard_library(Path(library))
    for folder in dict.fromkeys([*sys.path, str(standard)]):
        archive = Path(folder, packing.ARCHIVE)
        if archive.exists():
            files.keep(folder, str(archive))
    files.show(sys.prefix, str(standard), "")  # for packages that the interpreter itself has loaded from there
    files.show(_TIME_ZONES, library, "tzdata/zoneinfo")
    files.install(root)
    uuid._GETTERS = []  # a guest cannot ask for the addresses of its machine, so `uuid1` takes a random one


def _exports(runner: Runner) -> type[wit_world.WitWorld]:
    _send_logs_to_host()

    class WitWorld(wit_world.WitWorld):
        def describe(self) -> list[types.Function]:
            return [types.Function(function.name, _KINDS[function.kind]) for function in runner.functions]

        def run_orchestrator(self, name: str, input: str) -> str:
            try:
                return runner.run_orchestrator(_Host(), name, input)
            except Failure as failure:
                raise _err(failure) from None

        def run_activity(self, call: types.ActivityCall) -> str:
            try:
                known = ActivityCall(call.name, call.instance_id, call.task_id, call.attempt, _Management(), _Client())
                return runner.run_activity(known, call.input)
            except Failure as failure:
                raise _err(failure) from None

        def run_entity_operation(self, operation: types.EntityOperation) -> types.EntityResult:
            entity = action.EntityId.named(operation.entity.name, operation.entity.key)
            try:
                wanted = Operation(entity, operation.operation, operation.input, operation.state)
                return types.EntityResult(*runner.run_entity_operation(_Host(), wanted))
            except Failure as failure:
                raise _err(failure) from None

        def describe_triggers(self) -> list[types.Trigger]:
            return [types.Trigger(function.name, function.described()) for function in runner.client_functions]

        def run_trigger(self, call: types.TriggerCall) -> str:
            try:
                known = TriggerCall(call.name, call.invocation_id, call.attempt, _Client())
                return runner.run_trigger(known, call.input)
            except Failure as failure:
                raise _err(failure) from None

    return WitWorld


class _Handle:
    def __init__(self, task: orchestration.Task):
        self.task = task

    def outcome(self) -> str | Failure:
        match self.task.outcome():
            case Ok(text):
                return text
            case Err(failure):
                return _failure(failure)
            case None:
                raise AssertionError("only what `wait_watched` named is asked for its outcome")

    def cancel(self) -> None:
        self.task.cancel()

    def watch(self, number: int) -> None:
        self.task.watch(number)

    def unwatch(self) -> None:
        self.task.unwatch()


class _Host:
    """`dacapo.host.Host` on the imports of the component."""

    def schedule(self, action: action.Action) -> _Handle:
        return _Handle(_schedule(action))

    def wait_watched(self) -> list[int]:
        return orchestration.wait_watched()

    def start_orchestration(self, name: str, input_: str, instance_id: str | None) -> str:
        return orchestration.start_orchestration(name, input_, instance_id)

    def send_event(self, instance_id: str, name: str, data: str) -> None:
        orchestration.send_event(instance_id, name, data)

    def signal_entity(self, entity: action.EntityId, operation: str, input_: str, deliver_at: datetime | None) -> None:
        moment = None if deliver_at is None else _milliseconds(deliver_at)
        orchestration.signal_entity(_entity(entity), operation, input_, moment)

    def unlock_entities(self) -> bool:
        return orchestration.unlock_entities()

    def continue_as_new(self, input_: str) -> None:
        orchestration.continue_as_new(input_)

    def set_custom_status(self, status: str) -> None:
        orchestration.set_custom_status(status)

    def instance_id(self) -> str:
        return orchestration.instance_id()

    def execution_id(self) -> str:
        return orchestration.execution_id()

    def parent_instance_id(self) -> str | None:
        parent = orchestration.parent()
        return None if parent is None else parent.instance_id

    def version(self) -> str:
        return orchestration.version()

    def current_time(self) -> datetime:
        return _EPOCH + timedelta(milliseconds=orchestration.current_time())

    def new_guid(self) -> str:
        return orchestration.new_guid()

    def random_bytes(self, length: int) -> bytes:
        return orchestration.random_bytes(length)

    def is_replaying(self) -> bool:
        return orchestration.is_replaying()


def _raising(call: Callable[..., T]) -> Callable[..., T]:
    """A function of the contract that raises a `Failure` where that gives one."""

    def checked(*arguments: Any) -> T:
        try:
            return call(*arguments)
        except Err as refused:
            raise _failure(refused.value) from None

    return checked


class _Management:
    """`dacapo.host.Management` on the imports of the component."""

    start_orchestration = staticmethod(_raising(management.start_orchestration))


class _Client:
    """`dacapo.host.Client` on the imports of the component."""

    get_status = staticmethod(_raising(client.get_status))
    list_instances = staticmethod(_raising(client.list_instances))
    raise_event = staticmethod(_raising(client.raise_event))
    terminate = staticmethod(_raising(client.terminate))
    suspend = staticmethod(_raising(client.suspend))
    resume = staticmethod(_raising(client.resume))
    rewind = staticmethod(_raising(client.rewind))
    restart = staticmethod(_raising(client.restart))
    purge = staticmethod(_raising(client.purge))
    purge_instances = staticmethod(_raising(client.purge_instances))
    wait_for_completion = staticmethod(_raising(client.wait_for_completion))
    list_entities = staticmethod(_raising(client.list_entities))
    links = staticmethod(_raising(client.links))

    def start_orchestration(
        self, name: str, input_: str, instance_id: str | None, version: str | None, start_at: datetime | None
    ) -> str:
        return _raising(client.start_orchestration)(name, input_, instance_id, version, _optional_moment(start_at))

    def signal_entity(self, entity: action.EntityId, operation: str, input_: str, deliver_at: datetime | None) -> None:
        _raising(client.signal_entity)(_entity(entity), operation, input_, _optional_moment(deliver_at))

    def enqueue(self, queue: str, messages: list[str], deliver_at: datetime | None) -> None:
        moment = None if deliver_at is None else _milliseconds(deliver_at)
        _raising(client.enqueue)(queue, messages, moment)

    def read_entity(self, entity: action.EntityId) -> str | None:
        return _raising(client.read_entity)(_entity(entity))


def _schedule(wanted: action.Action) -> orchestration.Task:
    match wanted:
        case action.CallActivity(name, input_, retry):
            return orchestration.call_activity(name, input_, _retry(retry))
        case action.CallSubOrchestrator(name, input_, instance_id, retry, None):
            return orchestration.call_sub_orchestrator(name, input_, instance_id, _retry(retry))
        case action.CallSubOrchestrator(name, input_, instance_id, retry, version):
            return orchestration.call_sub_orchestrator_with_version(name, input_, version, instance_id, _retry(retry))
        case action.CreateTimer(fire_at):
            return orchestration.create_timer(_milliseconds(fire_at))
        case action.WaitForExternalEvent(name):
            return orchestration.wait_for_external_event(name)
        case action.CallEntity(entity, operation, input_):
            return orchestration.call_entity(_entity(entity), operation, input_)
        case action.LockEntities(entities):
            return orchestration.lock_entities([_entity(entity) for entity in entities])
        case action.CallHttp(request):
            return orchestration.call_http(request)


def _retry(options: action.RetryOptions | None) -> types.RetryPolicy | None:
    if options is None:
        return None
    return types.RetryPolicy(
        max_attempts=min(int(options.max_number_of_attempts), _ATTEMPTS_MAX),
        first_interval=float(options.first_retry_interval_in_milliseconds),
        backoff_coefficient=float(options.backoff_coefficient),
        max_interval=_float(options.max_retry_interval_in_milliseconds),
        timeout=_float(options.retry_timeout_in_milliseconds),
        non_retriable_error_types=list(options.non_retriable_error_types),
    )


_ATTEMPTS_MAX = 0xFFFF_FFFF
"""The maximum of the contract."""


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)


def _entity(entity: action.EntityId) -> types.EntityId:
    return types.EntityId(entity.name, entity.key)


def _optional_moment(moment: datetime | None) -> float | None:
    return None if moment is None else _milliseconds(moment)


def _milliseconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return float((moment - _EPOCH) // timedelta(milliseconds=1))


def _failure(failure: types.Failure) -> Failure:
    return Failure(failure.error_type, failure.message, failure.details, failure.retriable)


def _err(failure: Failure) -> Err[types.Failure]:
    # The attributes of a `Failure` may have any type.
    texts = (well_formed(str(failure.error_type)), well_formed(str(failure.message)))
    details = None if failure.details is None else well_formed(str(failure.details))
    return Err(types.Failure(*texts, details, bool(failure.retriable)))


class _HostLogHandler(logging.Handler):
    """Writes log records to the host's log. A replay does not write them again."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            host_log.log(_level(record.levelno), well_formed(self.format(record)))
        except Exception:
            self.handleError(record)


class _Formatter(logging.Formatter):
    def formatException(self, exc_info: Any) -> str:
        return source.user_traceback(exc_info[1])


def _level(number: int) -> host_log.Level:
    if number >= logging.ERROR:
        return host_log.Level.ERROR
    if number >= logging.WARNING:
        return host_log.Level.WARN
    if number >= logging.INFO:
        return host_log.Level.INFO
    return host_log.Level.DEBUG if number >= logging.DEBUG else host_log.Level.TRACE


def _send_logs_to_host() -> None:
    root = logging.getLogger()
    handler = _HostLogHandler()
    handler.setFormatter(_Formatter())
    root.handlers[:] = [handler]
    if root.level == logging.WARNING:  # the default: use the level of Azure Functions
        root.setLevel(logging.INFO)

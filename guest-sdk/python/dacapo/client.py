"""The durable client of the app's own task hub, for activities and for functions with other triggers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dacapo import border, payload
from dacapo.action import EntityId, entity_of, operation_of
from dacapo.declaration import FunctionName, name_of
from dacapo.failure import Failure
from dacapo.host import Client
from dacapo.http_messages import HttpRequest, HttpResponse
from dacapo.status import (
    DurableOrchestrationStatus,
    EntityPage,
    EntityStateResponse,
    EntityStatus,
    InstancePage,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)

_ENDED = {
    OrchestrationRuntimeStatus.Completed: 200,
    OrchestrationRuntimeStatus.Canceled: 200,
    OrchestrationRuntimeStatus.Terminated: 200,
    OrchestrationRuntimeStatus.Failed: 500,
}
"""The status codes of responses about an ended instance."""


def encoded_start(
    name: FunctionName, input_: Any, instance_id: str | None, version: str | None
) -> tuple[str, str, str | None, str | None]:
    """What the host is given to start an orchestration: its name, its input, an instance id and a version."""
    name = name_of(name)
    encoded = payload.encode_start_input(input_, f"the input of `{name}`")
    return name, encoded, border.optional_id(instance_id), border.optional_text(version, "version")


class DurableOrchestrationClient:
    """The client that the binding `durableClient` gives a function.

    If the host refuses a call, a `Failure` is raised, for example of the type `InstanceNotFound`, `InstanceEnded`,
    `InstanceNotEnded`, `InstanceAlreadyExists`, `OrchestratorNotFound`, or `NotGranted` if the operator has not granted
    the call to the app. Its text is that of the original where it has one.
    """

    def __init__(self, context: Client | DurableOrchestrationClient, function_invocation_id: str | None = None):
        # In the older programming model a function makes a client from the value of the binding, which is one already.
        self._host: Client = context._host if isinstance(context, DurableOrchestrationClient) else context

    async def start_new(
        self,
        orchestration_function_name: FunctionName,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
    ) -> str:
        """Starts an orchestration, and returns its instance id. An ended instance with that id is replaced. It begins as
        soon as possible, or not before `start_at`."""
        start = encoded_start(orchestration_function_name, client_input, instance_id, version)
        if start_at is not None:
            border.instance(start_at, datetime, "start_at")
        with _refusals():
            return self._host.start_orchestration(*start, start_at)

    # Links.

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """The links for managing an instance over HTTP."""
        links = json.loads(self._host.links(border.text(instance_id, "instance_id")))
        if links is None:
            raise Failure("InvalidArgument", f"{instance_id!r} cannot be the id of an instance", retriable=False)
        return links

    def get_client_response_links(self, request: HttpRequest | None, instance_id: str) -> dict[str, str]:
        """The links of an instance, with the origin of the given request, if there is one."""
        links = self.create_http_management_payload(instance_id)
        if request is None or not urlsplit(request.url).netloc:
            return links
        return {name: link if name == "id" else _at_origin_of(request.url, link) for name, link in links.items()}

    def create_check_status_response(self, request: HttpRequest | None, instance_id: str) -> HttpResponse:
        """The response with the links at which a caller can query an instance."""
        links = self.get_client_response_links(request, instance_id)
        headers = {"Content-Type": "application/json", "Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return HttpResponse(json.dumps(links), status_code=202, headers=headers, mimetype="application/json")

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: int = 10_000,
        retry_interval_in_milliseconds: int = 1_000,
    ) -> HttpResponse:
        """The response with the output of an instance if it ends in time; otherwise the response with its links. 404 if
        there is no such instance.

        The interval is checked only: the host itself notices the end.
        """
        timeout = border.length(timeout_in_milliseconds, "timeout_in_milliseconds")
        if border.length(retry_interval_in_milliseconds, "retry_interval_in_milliseconds") > timeout:
            raise ValueError("timeout_in_milliseconds must be at least retry_interval_in_milliseconds")
        status = await self.wait_for_completion(instance_id, timeout)
        if not status:
            return HttpResponse(status_code=404)
        if status.runtime_status in _ENDED:
            return _response_of_ended(status)
        return self.create_check_status_response(request, instance_id)

    # Instances.

    async def wait_for_completion(
        self, instance_id: str, timeout_in_milliseconds: int = 10_000
    ) -> DurableOrchestrationStatus:
        """Waits until an instance has ended, at most so long, and returns its status then; a falsy one if the instance
        does not exist."""
        timeout = border.length(timeout_in_milliseconds, "timeout_in_milliseconds")
        with _refusals():
            return _status_of(self._host.wait_for_completion(border.text(instance_id, "instance_id"), timeout))

    async def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of an instance; a falsy one if the instance does not exist."""
        options = {
            "showHistory": bool(show_history),
            "showHistoryOutput": bool(show_history_output),
            "showInput": bool(show_input),
        }
        with _refusals():
            return _status_of(self._host.get_status(border.text(instance_id, "instance_id"), json.dumps(options)))

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """The status of all instances of the task hub."""
        return list(self._instances({}))

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
        *,
        function_name: str | None = None,
        version: str | None = None,
        show_input: bool = True,
    ) -> list[DurableOrchestrationStatus]:
        """The status of all instances that match."""
        filter_ = _filter(
            created_time_from, created_time_to, runtime_status, instance_id_prefix, function_name, version
        )
        return list(self._instances({**filter_, **_shown(show_input)}))

    async def list_instances(
        self,
        *,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
        function_name: str | None = None,
        version: str | None = None,
        show_input: bool = True,
        top: int | None = None,
        continuation_token: str | None = None,
    ) -> InstancePage:
        """A page of the instances that match: at most `top`, from where the page before ended."""
        filter_ = _filter(
            created_time_from, created_time_to, runtime_status, instance_id_prefix, function_name, version
        )
        return self._page({**filter_, **_shown(show_input), **_paging(top, continuation_token)})

    def _page(self, filter_: dict[str, Any]) -> InstancePage:
        with _refusals():
            page = json.loads(self._host.list_instances(json.dumps(filter_)))
        return InstancePage([*map(DurableOrchestrationStatus.from_json, page["instances"])], page.get(_TOKEN) or None)

    def _instances(self, filter_: dict[str, Any]) -> Iterator[DurableOrchestrationStatus]:
        """All pages, one after another."""
        page = self._page(filter_)
        yield from page.instances
        while page.continuation_token:
            page = self._page({**filter_, _TOKEN: page.continuation_token})
            yield from page.instances

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Raises an external event for an instance."""
        self._check_own(task_hub_name)
        event_name = border.name(event_name, "event_name")
        data = payload.encode(event_data, f"the data of the event `{event_name}`")
        instance_id = border.text(instance_id, "instance_id")
        missing = f"No instance with ID {instance_id} found."
        ended = f"Instance with ID {instance_id} is gone: either completed or failed"
        with _refusals(InstanceNotFound=missing, InstanceEnded=ended):
            self._host.raise_event(instance_id, event_name, data)

    async def terminate(self, instance_id: str, reason: str) -> None:
        """Terminates an instance. Does nothing if it has ended."""
        _unless_ended(self._host.terminate, instance_id, reason)

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Suspends an instance. Does nothing if it has ended."""
        _unless_ended(self._host.suspend, instance_id, reason)

    async def resume(self, instance_id: str, reason: str) -> None:
        """Resumes a suspended instance. Does nothing if it has ended."""
        _unless_ended(self._host.resume, instance_id, reason)

    async def rewind(
        self, instance_id: str, reason: str, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> None:
        """Rewinds a failed instance: it continues from before its failure."""
        self._check_own(task_hub_name)
        instance_id = border.text(instance_id, "instance_id")
        with _refusals(InstanceNotFound=f"No instance with ID {instance_id} found."):
            self._host.rewind(instance_id, border.text(reason, "reason"))

    async def restart(
        self, instance_id: str, restart_with_new_instance_id: bool = True, *, new_instance_id: str | None = None
    ) -> str:
        """Restarts an instance with the same input, and returns the id of the new instance, which may be given."""
        instance_id = border.text(instance_id, "instance_id")
        new_id = border.optional_id(new_instance_id)
        if new_id is None and not restart_with_new_instance_id:
            new_id = instance_id
        with _refusals(InstanceNotFound=_missing(instance_id)):
            return self._host.restart(instance_id, new_id)

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Purges an instance that has ended."""
        with _refusals():
            return PurgeHistoryResult(int(self._host.purge(border.text(instance_id, "instance_id"))))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        *,
        instance_id_prefix: str | None = None,
        function_name: str | None = None,
        version: str | None = None,
    ) -> PurgeHistoryResult:
        """Purges all instances that match and have ended. The first parameter is required."""
        if created_time_from is None:
            raise ValueError("created_time_from is required when purging instance history")
        filter_ = _filter(
            created_time_from, created_time_to, runtime_status, instance_id_prefix, function_name, version
        )
        with _refusals():
            return PurgeHistoryResult(self._host.purge_instances(json.dumps(filter_)))

    # Entities.

    async def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        *,
        deliver_at: datetime | None = None,
    ) -> None:
        """Sends a one-way operation to an entity. It runs as soon as possible, or not before `deliver_at`."""
        self._check_own(task_hub_name)
        entity, operation = operation_of(entityId, operation_name)
        if deliver_at is not None:
            border.instance(deliver_at, datetime, "deliver_at")
        input_ = payload.encode(operation_input, f"the input of `{operation}` of {entity}")
        with _refusals():
            self._host.signal_entity(entity, operation, input_, deliver_at)

    async def read_entity_state(
        self, entityId: EntityId, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> EntityStateResponse:
        """The state of an entity after its last operation."""
        self._check_own(task_hub_name)
        with _refusals():
            state = self._host.read_entity(entity_of(entityId, "entityId"))
        return EntityStateResponse(False) if state is None else EntityStateResponse(True, payload.decode(state))

    async def list_entities(
        self,
        *,
        entity_name: str | None = None,
        last_operation_time_from: datetime | None = None,
        last_operation_time_to: datetime | None = None,
        fetch_state: bool = False,
        top: int | None = None,
        continuation_token: str | None = None,
    ) -> EntityPage:
        """A page of the entities that match: at most `top`, from where the page before ended."""
        filter_ = {"fetchState": bool(fetch_state), **_paging(top, continuation_token)}
        if entity_name is not None:
            filter_["entityName"] = border.text(entity_name, "entity_name")
        if last_operation_time_from is not None:
            filter_["lastOperationTimeFrom"] = _moment(last_operation_time_from, "last_operation_time_from")
        if last_operation_time_to is not None:
            filter_["lastOperationTimeTo"] = _moment(last_operation_time_to, "last_operation_time_to")
        with _refusals():
            page = json.loads(self._host.list_entities(json.dumps(filter_)))
        return EntityPage([*map(EntityStatus.from_json, page["entities"])], page.get(_TOKEN) or None)

    # Queues.

    async def enqueue(self, queue_name: str, messages: Any, *, deliver_at: datetime | None = None) -> None:
        """Puts a message into a queue, or several if `messages` is a list. It is delivered at once, or not before
        `deliver_at`. A `str` is sent as it is, any other value as JSON. If the call of the activity or trigger is
        repeated, the messages that it has put are not put again."""
        self.put(queue_name, messages, deliver_at)

    def put(self, queue_name: str, messages: Any, deliver_at: datetime | None = None) -> None:
        """For the SDK: `enqueue`, for code that is not `async`."""
        queue_name = border.name(queue_name, "queue_name")
        if deliver_at is not None:
            border.instance(deliver_at, datetime, "deliver_at")
        what = f"a message for the queue `{queue_name}`"
        texts = [
            border.text(message, what) if isinstance(message, str) else payload.encode(message, what)
            for message in (messages if isinstance(messages, list) else [messages])
        ]
        with _refusals():
            self._host.enqueue(queue_name, texts, deliver_at)

    def _check_own(self, task_hub_name: str | None) -> None:
        """Raises an error for a task hub that is not the app's own, which the host cannot reach from here."""
        if task_hub_name is None:
            return
        wanted = border.text(task_hub_name, "task_hub_name")
        (own,) = parse_qs(urlsplit(self.create_http_management_payload("any")["statusQueryGetUri"]).query)["taskHub"]
        if wanted and wanted.lower() != own.lower():
            raise ValueError(
                f"task_hub_name is {wanted!r}, but a client reaches only its app's task hub, {own!r}: for another, "
                "use the management API of the host over HTTP"
            )


class ClientException(Failure):
    """What the host refuses. Its text has no type in front: apps show that of the original's exceptions."""

    def __str__(self) -> str:
        return str(self.message)


@contextmanager
def _refusals(**words: str) -> Iterator[None]:
    """Gives what the host refuses these words, by the type of the failure."""
    try:
        yield
    except Failure as failure:
        message = words.get(failure.error_type, failure.message)
        raise ClientException(failure.error_type, message, failure.details, failure.retriable) from failure


def _missing(instance_id: str) -> str:
    return f"No instance with ID '{instance_id}' found."


_TOKEN = "continuationToken"


def _status_of(text: str) -> DurableOrchestrationStatus:
    """The status in a response of the host, or a falsy one for `null`."""
    status = json.loads(text)
    return DurableOrchestrationStatus() if status is None else DurableOrchestrationStatus.from_json(status)


def _filter(
    created_from: datetime | None,
    created_to: datetime | None,
    runtime_status: Iterable[OrchestrationRuntimeStatus] | None,
    instance_id_prefix: str | None,
    function_name: str | None,
    version: str | None,
) -> dict[str, Any]:
    texts = {"instanceIdPrefix": instance_id_prefix, "functionName": function_name, "version": version}
    filter_: dict[str, Any] = {name: border.text(text, name) for name, text in texts.items() if text is not None}
    if created_from is not None:
        filter_["createdTimeFrom"] = _moment(created_from, "created_time_from")
    if created_to is not None:
        filter_["createdTimeTo"] = _moment(created_to, "created_time_to")
    if runtime_status is not None:
        filter_["runtimeStatus"] = [OrchestrationRuntimeStatus(status).value for status in runtime_status]
    return filter_


def _shown(show_input: bool) -> dict[str, Any]:
    return {} if show_input else {"showInput": False}


def _paging(top: int | None, continuation_token: str | None) -> dict[str, Any]:
    paging = {"top": top, _TOKEN: border.optional_text(continuation_token, "continuation_token")}
    return {name: value for name, value in paging.items() if value is not None}


def _moment(moment: datetime, what: str) -> str:
    border.instance(moment, datetime, what)
    aware = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
    return aware.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _unless_ended(act: Any, instance_id: str, reason: str) -> None:
    instance_id, reason = border.text(instance_id, "instance_id"), border.text(reason, "reason")
    try:
        with _refusals(InstanceNotFound=_missing(instance_id)):
            act(instance_id, reason)
    except Failure as failure:
        if failure.error_type != "InstanceEnded":
            raise


def _response_of_ended(status: DurableOrchestrationStatus) -> HttpResponse:
    body = status.output if status.runtime_status is OrchestrationRuntimeStatus.Completed else status.to_json()
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"Content-Type": "application/json"}
    code = _ENDED[status.runtime_status]
    return HttpResponse(text, status_code=code, headers=headers, mimetype="application/json")


def _at_origin_of(url: str, link: str) -> str:
    origin = urlsplit(url)
    return urlsplit(link)._replace(scheme=origin.scheme, netloc=origin.netloc).geturl()

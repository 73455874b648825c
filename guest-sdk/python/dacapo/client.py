"""The client of a task hub, for activities.

An activity can start orchestrations and get the links of any instance. Other requests go to these links over HTTP, so
the hub's outbound policy must allow the host's own address. Methods that need rights on the whole hub are refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from dacapo import border, payload
from dacapo.action import EntityId, entity_of
from dacapo.failure import Failure
from dacapo.function import FunctionName, name_of
from dacapo.host import Management
from dacapo.http_messages import HttpRequest, HttpResponse
from dacapo.status import (
    DurableOrchestrationStatus,
    EntityStateResponse,
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


def start_orchestration(
    management: Management, name: FunctionName, input_: Any, instance_id: str | None, version: str | None
) -> str:
    """Starts an orchestration, and returns its instance id."""
    name = name_of(name)
    encoded = payload.encode_start_input(input_, f"the input of `{name}`")
    instance_id, version = border.optional_id(instance_id), border.optional_text(version, "version")
    return management.start_orchestration(name, encoded, instance_id, version)


class DurableOrchestrationClient:
    """The client that the binding `durableClient` gives an activity.

    If the host refuses a request, a `Failure` is raised: `InstanceNotFound`, `InvalidOperation` if the state of the
    instance does not allow it, and those of starting an orchestration, such as `InstanceAlreadyExists`.
    """

    def __init__(self, context: Management | DurableOrchestrationClient, function_invocation_id: str | None = None):
        # In the older programming model a function makes a client from the value of the binding, which is one already.
        self._management = context._management if isinstance(context, DurableOrchestrationClient) else context

    async def start_new(
        self,
        orchestration_function_name: FunctionName,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
    ) -> str:
        """Starts an orchestration, and returns its instance id. An ended instance with that id is replaced."""
        return start_orchestration(self._management, orchestration_function_name, client_input, instance_id, version)

    # Links.

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """The links for managing an instance over HTTP."""
        links = json.loads(self._management.links(border.text(instance_id, "instance_id")))
        if links is None:
            raise Failure("InvalidArgument", f"{instance_id!r} cannot be the id of an instance", retriable=False)
        return links

    def get_client_response_links(self, request: HttpRequest | None, instance_id: str) -> dict[str, str]:
        """The links of an instance, with the origin of the given request, if there is one."""
        links = self.create_http_management_payload(instance_id)
        if request is None or not request.url:
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
        """The response with the output of an instance if it ends in time; otherwise the response with its links."""
        border.length(timeout_in_milliseconds, "timeout_in_milliseconds")
        border.length(retry_interval_in_milliseconds, "retry_interval_in_milliseconds")
        if retry_interval_in_milliseconds > timeout_in_milliseconds:
            raise ValueError("timeout_in_milliseconds must be at least retry_interval_in_milliseconds")
        deadline = time.monotonic() + timeout_in_milliseconds / 1000
        while True:
            status = await self.get_status(instance_id)
            if status.runtime_status in _ENDED:
                return _response_of_ended(status)
            left = deadline - time.monotonic()
            if left <= 0:
                return self.create_check_status_response(request, instance_id)
            await asyncio.sleep(min(left, retry_interval_in_milliseconds / 1000))

    # Instances.

    async def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of an instance; a falsy one if the instance does not exist."""
        shown = {"showHistory": show_history, "showHistoryOutput": show_history_output, "showInput": show_input}
        link = self.create_http_management_payload(instance_id)["statusQueryGetUri"]
        code, content = self._send("GET", f"{link}&{urlencode(shown)}")
        if code == 404:
            return DurableOrchestrationStatus()
        if code not in (200, 202, 500):
            raise _refusal(instance_id, code, content)
        return DurableOrchestrationStatus.from_json(json.loads(content))

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Raises an external event for an instance of this task hub. Parameters for other hubs are ignored."""
        event_name = border.name(event_name, "event_name")
        data = payload.encode(event_data, f"the data of the event `{event_name}`")
        link = self.create_http_management_payload(instance_id)["sendEventPostUri"]
        code, content = self._send("POST", link.replace("{eventName}", quote(event_name, safe="")), data)
        if code != 202:
            raise _refusal(instance_id, code, content)

    async def terminate(self, instance_id: str, reason: str) -> None:
        """Terminates an instance. Does nothing if it has ended."""
        self._post_reason(instance_id, "terminatePostUri", reason, accepted=(202, 410))

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Suspends an instance. Does nothing if it has ended."""
        self._post_reason(instance_id, "suspendPostUri", reason, accepted=(202, 410))

    async def resume(self, instance_id: str, reason: str) -> None:
        """Resumes a suspended instance. Does nothing if it has ended."""
        self._post_reason(instance_id, "resumePostUri", reason, accepted=(202, 410))

    async def rewind(
        self, instance_id: str, reason: str, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> None:
        """Rewinds a failed instance: it continues from before its failure."""
        self._post_reason(instance_id, "rewindPostUri", reason, accepted=(202,))

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> str:
        """Restarts an instance with the same input, and returns the id of the new instance."""
        link = self.create_http_management_payload(instance_id)["restartPostUri"]
        query = urlencode({"restartWithNewInstanceId": restart_with_new_instance_id})
        code, content = self._send("POST", f"{link}&{query}")
        if code != 202:
            raise _refusal(instance_id, code, content)
        return json.loads(content)["id"]

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Purges an instance that has ended."""
        link = self.create_http_management_payload(instance_id)["purgeHistoryDeleteUri"]
        code, content = self._send("DELETE", link)
        if code == 404:
            return PurgeHistoryResult(0)
        if code != 200:
            raise _refusal(instance_id, code, content)
        return PurgeHistoryResult(**json.loads(content))

    async def read_entity_state(
        self, entityId: EntityId, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> EntityStateResponse:
        """The state of an entity after its last operation."""
        # An entity is an instance too: the link gives its status, which contains the state.
        status = await self.get_status(str(entity_of(entityId, "entityId")), show_input=True)
        if not status or not status.input_["exists"]:
            return EntityStateResponse(False)
        return EntityStateResponse(True, json.loads(status.input_["state"]))

    # Methods for which an activity has no rights.

    async def get_status_all(self) -> NoReturn:
        """Refused: an activity has no rights on the whole task hub."""
        raise _unsupported("get_status_all")

    async def get_status_by(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: an activity has no rights on the whole task hub."""
        raise _unsupported("get_status_by")

    async def purge_instance_history_by(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: an activity has no rights on the whole task hub."""
        raise _unsupported("purge_instance_history_by")

    async def signal_entity(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: signal the entity in an orchestrator."""
        raise _unsupported("signal_entity")

    def _post_reason(self, instance_id: str, link: str, reason: str, accepted: tuple[int, ...]) -> None:
        reason = border.text(reason, "reason")
        template = self.create_http_management_payload(instance_id)[link]
        code, content = self._send("POST", template.replace("{text}", quote(reason, safe="")))
        if code not in accepted:
            raise _refusal(instance_id, code, content)

    def _send(self, method: str, uri: str, content: str | None = None) -> tuple[int, str]:
        """Sends a request, and returns the status code and the content of the response."""
        request: dict[str, Any] = {"method": method, "uri": uri}
        if content is not None:
            request |= {"headers": {"Content-Type": "application/json"}, "content": content}
        try:
            response = json.loads(self._management.send_http(json.dumps(request)))
        except Failure as failure:
            # The link grants access to the instance, so it must not be in a failure.
            message = failure.message.replace(uri, uri.partition("?")[0])
            raise Failure(failure.error_type, message, None, failure.retriable) from None
        return response["statusCode"], response["content"]


def _response_of_ended(status: DurableOrchestrationStatus) -> HttpResponse:
    body = status.output if status.runtime_status is OrchestrationRuntimeStatus.Completed else status.to_json()
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"Content-Type": "application/json"}
    code = _ENDED[status.runtime_status]
    return HttpResponse(text, status_code=code, headers=headers, mimetype="application/json")


def _at_origin_of(url: str, link: str) -> str:
    origin = urlsplit(url)
    return urlsplit(link)._replace(scheme=origin.scheme, netloc=origin.netloc).geturl()


def _refusal(instance_id: str, code: int, content: str) -> Failure:
    match code:
        case 404:
            return Failure("InstanceNotFound", f"No instance with ID {instance_id} found.")
        case 410:
            return Failure("InvalidOperation", f"Instance with ID {instance_id} is gone: either completed or failed")
        case 409 | 412 | 500:
            return Failure("InvalidOperation", _sentence_of(content))
        case _:
            return Failure("HttpRequestFailed", f"the host answers {code} for {instance_id}: {_sentence_of(content)}")


def _sentence_of(content: str) -> str:
    """The message of a refusal: the host sends a JSON string, or an object with more information."""
    try:
        said = json.loads(content)
    except ValueError:
        return content
    return said.get("ExceptionMessage") or said.get("Message", content) if isinstance(said, dict) else str(said)


def _unsupported(method: str) -> Failure:
    message = f"an activity cannot call {method}: do it in an orchestrator, or over the management API of the host"
    return Failure("Unsupported", message, retriable=False)

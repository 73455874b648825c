"""The tested host, and instances in every state that an instance can be in."""

import asyncio
import json
import uuid
from urllib.parse import quote

import azure.functions as func
from azure.durable_functions.models.DurableOrchestrationClient import DurableOrchestrationClient
from azure.durable_functions.models.utils import http_utils

from checks import Failed, shown

STATES = ["completed", "failed", "terminated", "running", "suspended", "pending", "missing"]
ENDED = ["completed", "failed", "terminated"]


class Recorder:
    """Wraps the real client and records which of its methods are called."""

    def __init__(self, client):
        self._client = client
        self.called = set()

    def __getattr__(self, name):
        self.called.add(name)
        return getattr(self._client, name)


class World:
    def __init__(self, url, binding, switch, session):
        self.url = url
        self.binding = json.loads(binding)
        self.hub = self.binding["taskHubName"]
        self.switch = switch
        self.session = session
        # As the library's decorator does it for a function: the binding is the text that the host passes.
        self.client = Recorder(DurableOrchestrationClient(binding, function_invocation_id=str(uuid.uuid4())))

    @staticmethod
    async def close():
        """Closes the connections that the library keeps until the process ends."""
        await http_utils._close_session()

    def another_client(self, **changes):
        return DurableOrchestrationClient(json.dumps({**self.binding, **changes}))

    def trigger(self, url=None):
        """Returns the request that an HTTP-triggered function gets."""
        return func.HttpRequest(method="POST", url=url or f"{self.url}/api/orders", body=b"")

    async def raw(self, method, url, body=None):
        """Sends a request without the client. Returns the status and the body."""
        data = None if body is None else json.dumps(body)
        url = url if url.startswith("http") else f"{self.url}/runtime/webhooks/durabletask/{url}"
        headers = {"Content-Type": "application/json"}
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def start_raw(self, name, value, query=""):
        """Starts an instance with an input that is encoded once, as clients in other languages do."""
        status, body = await self.raw("POST", f"orchestrators/{name}/{fresh()}{query}", value)
        if status != 202:
            raise Failed(f"starting {name} without the client: {status} {shown(body)}")
        return body["id"]

    async def until(self, instance_id, *wanted):
        """Waits for one of some statuses, and returns the client's status object."""
        for _ in range(2_000):
            status = await self.client.get_status(instance_id)
            if status and status.runtime_status.value in wanted:
                return status
            if status and status.runtime_status.value in ("Completed", "Failed", "Terminated"):
                break
            await asyncio.sleep(0.02)
        raise Failed(f"{instance_id} should become {' or '.join(wanted)}, but is {shown(status.to_json())}")

    async def until_output(self, instance_id, output):
        """Waits for the output of a new execution of an instance that had ended before."""
        for _ in range(2_000):
            status = await self.client.get_status(instance_id)
            if status and status.output == output:
                return status
            await asyncio.sleep(0.02)
        raise Failed(f"the output of {instance_id} should become {shown(output)}: {shown(status.to_json())}")

    async def reading(self, read, wanted, what):
        """Reads until the result is the wanted one."""
        for _ in range(500):
            seen = await read()
            if seen == wanted:
                return
            await asyncio.sleep(0.02)
        raise Failed(f"{what} is {shown(seen)}, expected {shown(wanted)}")

    async def instance(self, state):
        """Makes a new instance in the given state."""
        client = self.client
        if state == "missing":
            return fresh()
        if state == "pending":
            instance_id = await self.start_raw("echo_orchestrator", None, "?startAt=2100-01-01T00:00:00Z")
            await self.until(instance_id, "Pending")
            return instance_id
        if state == "completed":
            instance_id = await client.start_new("echo_orchestrator", fresh(), {"a": 1})
            await self.until(instance_id, "Completed")
            return instance_id
        if state == "failed":
            instance_id = await client.start_new("return_error", fresh())
            await self.until(instance_id, "Failed")
            return instance_id
        instance_id = await client.start_new("collect_events", fresh())
        await self.until(instance_id, "Running")
        if state == "terminated":
            await client.terminate(instance_id, "not needed")
            await self.until(instance_id, "Terminated")
        if state == "suspended":
            await client.suspend(instance_id, "for now")
            await self.until(instance_id, "Suspended")
        return instance_id


def fresh():
    return f"py-{uuid.uuid4().hex}"


def path(instance_id):
    return f"instances/{quote(instance_id, safe='')}"

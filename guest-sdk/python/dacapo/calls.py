"""What a function can know about the call of it."""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass, field
from typing import Any

from dacapo.client import DurableOrchestrationClient, encoded_start
from dacapo.declaration import FunctionName
from dacapo.host import Client, Management


@dataclass(frozen=True)
class TraceContext:
    """The context for distributed tracing: the headers of a request with these names."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    """How often the call has been repeated."""

    retry_count: int = 0
    max_retry_count: int = 0
    """0: the host's rules are not known here."""
    exception: Any = None


class Context:
    """One call of a function: what `azure.functions.Context` has."""

    function_name: str
    invocation_id: str
    """The same when the call is repeated: an idempotency key."""
    attempt: int
    function_directory: str = ""
    """The folder of the function's code. A component has its modules, but no files to read there."""
    trace_context = TraceContext()

    @property
    def retry_context(self) -> RetryContext:
        """How often the call has been repeated."""
        return RetryContext(self.attempt - 1)

    @functools.cached_property
    def thread_local_storage(self) -> types.SimpleNamespace:
        """A namespace with the `invocation_id`, for logging from threads, of which a component has one only."""
        return types.SimpleNamespace(invocation_id=self.invocation_id)


@dataclass(frozen=True)
class TriggerCall(Context):
    """One call of a function with a trigger. Its parameter `context` gets it."""

    function_name: str
    invocation_id: str
    attempt: int
    _client: Client = field(repr=False, compare=False)
    trace_context: TraceContext = TraceContext()
    function_directory: str = ""

    def client(self) -> DurableOrchestrationClient:
        """A client of the app's task hub."""
        return DurableOrchestrationClient(self._client)


@dataclass(frozen=True)
class ActivityCall(Context):
    """One call of an activity. The parameter `context` of an activity gets it."""

    function_name: str
    instance_id: str
    task_id: int
    """Together with `instance_id`, an idempotency key: the same when the call is repeated after a crash."""
    attempt: int
    _management: Management = field(repr=False, compare=False)
    _client: Client = field(repr=False, compare=False)
    function_directory: str = ""

    @property
    def invocation_id(self) -> str:
        """The idempotency key, as a text."""
        return f"{self.instance_id}:{self.task_id}"

    def start_orchestration(
        self, name: FunctionName, input_: Any = None, instance_id: str | None = None, version: str | None = None
    ) -> str:
        """Starts an orchestration that runs on its own, and returns its instance id. Raises `Failure`, for example of
        type `InstanceAlreadyExists`. If the call of the activity is repeated after a crash, it is not started again."""
        return self._management.start_orchestration(*encoded_start(name, input_, instance_id, version))

    def client(self) -> DurableOrchestrationClient:
        """A client of the app's task hub."""
        return DurableOrchestrationClient(self._client)

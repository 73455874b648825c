"""The client of task hubs and what it gives, as names only.

Functions with a client binding are triggered by what Dacapo does not run: its management API is served by the host. The
real client packages of Durable Functions work against that, in any program.
"""

from __future__ import annotations

import enum
from typing import Any


class OrchestrationRuntimeStatus(enum.Enum):
    """Where an instance stands."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


class _OfClient:
    """Exists so that annotations of existing apps resolve."""

    def __init__(self, *_: Any, **__: Any):
        raise NotImplementedError(
            "there is no client inside a guest: start and query instances through the host's management API, "
            "or start an orchestration with context.start_orchestration"
        )


class DurableOrchestrationClient(_OfClient): ...


class DurableOrchestrationStatus(_OfClient): ...


class EntityStateResponse(_OfClient): ...


class PurgeHistoryResult(_OfClient): ...

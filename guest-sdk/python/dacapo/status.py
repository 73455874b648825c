"""Responses of the host to a client's queries about instances."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dacapo.action import EntityId


class OrchestrationRuntimeStatus(enum.Enum):
    """The status of an instance."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


class DurableOrchestrationStatus:
    """The status of an instance. It is falsy if the instance does not exist.

    The parameters are the members of the host's response; those without a property become attributes.
    """

    def __init__(
        self,
        name: str | None = None,
        instanceId: str | None = None,
        createdTime: str | None = None,
        lastUpdatedTime: str | None = None,
        input: Any = None,
        output: Any = None,
        runtimeStatus: str | None = None,
        customStatus: Any = None,
        history: list[Any] | None = None,
        **others: Any,
    ):
        self.name = name
        self.instance_id = instanceId
        self.created_time = _moment(createdTime)
        self.last_updated_time = _moment(lastUpdatedTime)
        self.input_ = input
        self.output = output
        self.runtime_status = None if runtimeStatus is None else OrchestrationRuntimeStatus(runtimeStatus)
        self.custom_status = customStatus
        self.history = history
        """The events of the execution, if `get_status` has requested them."""
        vars(self).update(others)

    def __bool__(self) -> bool:
        return self.created_time is not None

    @classmethod
    def from_json(cls, json_obj: dict[str, Any]) -> DurableOrchestrationStatus:
        """Makes the status from a response of the host."""
        return cls(**json_obj)

    def to_json(self) -> dict[str, Any]:
        """The status in the form of the host's response."""
        return {
            "name": self.name,
            "instanceId": self.instance_id,
            "createdTime": _text(self.created_time),
            "lastUpdatedTime": _text(self.last_updated_time),
            "input": self.input_,
            "output": self.output,
            "runtimeStatus": self.runtime_status and self.runtime_status.name,
            "customStatus": self.custom_status,
            "history": self.history,
        }


class PurgeHistoryResult:
    """The number of purged instances."""

    # The names of the host's response.
    def __init__(self, instancesDeleted: int):
        self.instances_deleted = instancesDeleted


class EntityStateResponse:
    """Whether an entity exists, and its state."""

    def __init__(self, entity_exists: bool, entity_state: Any = None):
        self.entity_exists = entity_exists
        self.entity_state = entity_state


@dataclass(frozen=True)
class InstancePage:
    """A part of a list of instances."""

    instances: list[DurableOrchestrationStatus]
    continuation_token: str | None
    """For the next page; None in the last one."""


@dataclass(frozen=True)
class EntityStatus:
    """An entity of a list."""

    entity_id: EntityId
    last_operation_time: datetime
    state: Any = None
    """None if it was not asked for."""

    @classmethod
    def from_json(cls, json_obj: dict[str, Any]) -> EntityStatus:
        """Makes it from a response of the host."""
        id_, time = json_obj["entityId"], datetime.fromisoformat(json_obj["lastOperationTime"])
        return cls(EntityId(id_["name"], id_["key"]), time, json_obj.get("state"))


@dataclass(frozen=True)
class EntityPage:
    """A part of a list of entities."""

    entities: list[EntityStatus]
    continuation_token: str | None
    """For the next page; None in the last one."""


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""What an orchestrator asks of the host, as values. Payloads are JSON texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


class RetryOptions:
    """When and how often a failed activity or sub-orchestration is tried again. The host keeps the schedule.

    The first two are those of `azure-functions-durable`; the others, which its host knows too, may be given by name.
    """

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        *,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
        non_retriable_error_types: tuple[str, ...] | list[str] = (),
    ):
        if first_retry_interval_in_milliseconds <= 0:
            raise ValueError("first_retry_interval_in_milliseconds must be greater than 0")
        if max_number_of_attempts < 1:
            raise ValueError("max_number_of_attempts must be at least 1")
        self.first_retry_interval_in_milliseconds = first_retry_interval_in_milliseconds
        self.max_number_of_attempts = max_number_of_attempts
        self.backoff_coefficient = backoff_coefficient
        self.max_retry_interval_in_milliseconds = max_retry_interval_in_milliseconds
        self.retry_timeout_in_milliseconds = retry_timeout_in_milliseconds
        self.non_retriable_error_types = tuple(non_retriable_error_types)


class EntityId:
    """Names an entity. Names compare ignoring case, keys exactly."""

    def __init__(self, name: str, key: str):
        if name == "":
            raise ValueError("Entity name cannot be empty")
        if key == "":
            raise ValueError("Entity key cannot be empty")
        self.name = name
        self.key = key

    @staticmethod
    def get_scheduler_id(entity_id: EntityId) -> str:
        """The instance id of the entity: `@name@key`."""
        return f"@{entity_id.name.lower()}@{entity_id.key}"

    @staticmethod
    def get_entity_id(scheduler_id: str) -> EntityId:
        """The entity with this instance id."""
        at, name, key = scheduler_id[:1], *scheduler_id[1:].partition("@")[::2]
        if at != "@" or not name or not key:
            raise ValueError(f"{scheduler_id!r} is not the id of an entity: it must look like @name@key")
        return EntityId(name, key)

    @staticmethod
    def get_entity_id_url_path(entity_id: EntityId) -> str:
        """Where the entity is found in the management API."""
        return f"entities/{entity_id.name}/{entity_id.key}"

    def __str__(self) -> str:
        return EntityId.get_scheduler_id(self)

    def __repr__(self) -> str:
        return f"EntityId({self.name!r}, {self.key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityId) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


@dataclass(frozen=True)
class CallActivity:
    name: str
    input: str
    retry: RetryOptions | None = None


@dataclass(frozen=True)
class CallSubOrchestrator:
    name: str
    input: str
    instance_id: str | None = None
    retry: RetryOptions | None = None
    version: str | None = None
    """None: the child begins on the code of its parent, if that holds the function."""


@dataclass(frozen=True)
class CreateTimer:
    fire_at: datetime


@dataclass(frozen=True)
class WaitForExternalEvent:
    name: str


@dataclass(frozen=True)
class CallEntity:
    entity: EntityId
    operation: str
    input: str


@dataclass(frozen=True)
class LockEntities:
    entities: tuple[EntityId, ...]


@dataclass(frozen=True)
class CallHttp:
    request: str


Action = CallActivity | CallSubOrchestrator | CreateTimer | WaitForExternalEvent | CallEntity | LockEntities | CallHttp
"""What completes some time."""

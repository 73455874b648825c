"""The actions of an orchestrator, as values. Payloads are JSON texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dacapo import border


class RetryOptions:
    """When and how often a failed activity or sub-orchestration is retried. The host keeps the schedule.

    The first two parameters are those of `azure-functions-durable`; the others must be passed by name.
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
        if border.number(first_retry_interval_in_milliseconds, "first_retry_interval_in_milliseconds") <= 0:
            raise ValueError("first_retry_interval_in_milliseconds must be greater than 0")
        if not 1 <= border.number(max_number_of_attempts, "max_number_of_attempts") < math.inf:
            raise ValueError(f"max_number_of_attempts must be at least 1 and finite, and is {max_number_of_attempts}")
        border.length(backoff_coefficient, "backoff_coefficient")
        border.optional_length(max_retry_interval_in_milliseconds, "max_retry_interval_in_milliseconds")
        border.optional_length(retry_timeout_in_milliseconds, "retry_timeout_in_milliseconds")
        self.first_retry_interval_in_milliseconds = first_retry_interval_in_milliseconds
        self.max_number_of_attempts = max_number_of_attempts
        self.backoff_coefficient = backoff_coefficient
        self.max_retry_interval_in_milliseconds = max_retry_interval_in_milliseconds
        self.retry_timeout_in_milliseconds = retry_timeout_in_milliseconds
        self.non_retriable_error_types = border.texts(non_retriable_error_types, "non_retriable_error_types")

    def checked(self) -> RetryOptions:
        """For the SDK: a checked copy for one call. Attributes may have changed, and may change again."""
        return RetryOptions(
            self.first_retry_interval_in_milliseconds,
            self.max_number_of_attempts,
            backoff_coefficient=self.backoff_coefficient,
            max_retry_interval_in_milliseconds=self.max_retry_interval_in_milliseconds,
            retry_timeout_in_milliseconds=self.retry_timeout_in_milliseconds,
            non_retriable_error_types=self.non_retriable_error_types,
        )


class EntityId:
    """The id of an entity. Names are compared ignoring case, keys exactly."""

    def __init__(self, name: str, key: str):
        name, key = border.text(name, "the name of an entity"), border.text(key, "the key of an entity")
        if name == "":
            raise ValueError("Entity name cannot be empty")
        if key == "":
            raise ValueError("Entity key cannot be empty")
        self.name = name
        self.key = key

    @classmethod
    def named(cls, name: str, key: str) -> EntityId:
        """For the SDK: makes the id of an entity from the host, whose key may be empty."""
        entity = cls.__new__(cls)
        entity.name, entity.key = name, key
        return entity

    @staticmethod
    def get_scheduler_id(entity_id: EntityId) -> str:
        """The instance id of the entity: `@name@key`."""
        return f"@{entity_id.name.lower()}@{entity_id.key}"

    @staticmethod
    def get_entity_id(scheduler_id: str) -> EntityId:
        """Parses an instance id."""
        scheduler_id = border.text(scheduler_id, "the id of an entity")
        at, name, key = scheduler_id[:1], *scheduler_id[1:].partition("@")[::2]
        if at != "@" or not name or not key:
            raise ValueError(f"{scheduler_id!r} is not the id of an entity: it must look like @name@key")
        return EntityId(name, key)

    @staticmethod
    def get_entity_id_url_path(entity_id: EntityId) -> str:
        """The path of the entity in the management API."""
        return f"entities/{entity_id.name}/{entity_id.key}"

    def __str__(self) -> str:
        return EntityId.get_scheduler_id(self)

    def __repr__(self) -> str:
        return f"EntityId({self.name!r}, {self.key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityId) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def entity_of(entity: Any, what: str) -> EntityId:
    """A checked copy of an entity id from the user. Attributes may have changed, and may change again."""
    given = border.instance(entity, EntityId, what)
    name = border.function_name(given.name, "the name of an entity")
    key = border.text(given.key, "the key of an entity")
    border.id_(f"@{name}@{key}", "the id of an entity")
    return EntityId.named(name, key)


def operation_of(entity: Any, operation: Any) -> tuple[EntityId, str]:
    """A checked entity id and operation from the user."""
    return entity_of(entity, "entityId"), border.label(operation, "operationName")


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
    """None: the child runs on the code of its parent, if that has the function."""


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
"""The actions that make a task."""

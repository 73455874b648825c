"""The interface between this package and its host.

Each class has two implementations: the real one, which calls the imports of the component (`dacapo.guest`), and a test
double that plays a script (`dacapo.testing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from dacapo.action import Action, EntityId
from dacapo.failure import Failure


class Handle(Protocol):
    """Something that was scheduled and completes once."""

    def outcome(self) -> str | Failure:
        """Its output as JSON, or its failure. Only called after `Host.wait_watched` has reported it."""

    def cancel(self) -> None:
        """Cancels a timer or a wait for an event."""

    def watch(self, number: int) -> None:
        """Makes `Host.wait_watched` report it with this number, once."""

    def unwatch(self) -> None:
        """Undoes `watch`."""


class Host(Protocol):
    """The interface `orchestration` of the contract, in Python's own types."""

    def schedule(self, action: Action) -> Handle: ...

    def wait_watched(self) -> Sequence[int]:
        """Blocks until watched tasks have completed, and returns their numbers in the order of completion."""

    def start_orchestration(self, name: str, input_: str, instance_id: str | None) -> str: ...

    def send_event(self, instance_id: str, name: str, data: str) -> None: ...

    def signal_entity(self, entity: EntityId, operation: str, input_: str, deliver_at: datetime | None) -> None: ...

    def unlock_entities(self) -> bool: ...

    def continue_as_new(self, input_: str) -> None: ...

    def set_custom_status(self, status: str) -> None: ...

    def instance_id(self) -> str: ...

    def execution_id(self) -> str: ...

    def parent_instance_id(self) -> str | None: ...

    def version(self) -> str: ...

    def current_time(self) -> datetime: ...

    def new_guid(self) -> str: ...

    def random_bytes(self, length: int) -> bytes: ...

    def is_replaying(self) -> bool: ...


class Management(Protocol):
    """The interface `management` of the contract, for activities. Raises `Failure`."""

    def start_orchestration(self, name: str, input_: str, instance_id: str | None, version: str | None) -> str: ...


class Client(Protocol):
    """The interface `client` of the contract, for activities and triggers. Payloads, options, filters and results are
    JSON texts. Raises `Failure`."""

    def start_orchestration(
        self, name: str, input_: str, instance_id: str | None, version: str | None, start_at: datetime | None
    ) -> str: ...

    def get_status(self, instance_id: str, options: str) -> str: ...

    def list_instances(self, filter_: str) -> str: ...

    def raise_event(self, instance_id: str, name: str, data: str) -> None: ...

    def terminate(self, instance_id: str, reason: str) -> None: ...

    def suspend(self, instance_id: str, reason: str) -> None: ...

    def resume(self, instance_id: str, reason: str) -> None: ...

    def rewind(self, instance_id: str, reason: str) -> None: ...

    def restart(self, instance_id: str, new_instance_id: str | None) -> str: ...

    def purge(self, instance_id: str) -> bool: ...

    def purge_instances(self, filter_: str) -> int: ...

    def wait_for_completion(self, instance_id: str, milliseconds: float) -> str: ...

    def signal_entity(self, entity: EntityId, operation: str, input_: str, deliver_at: datetime | None) -> None: ...

    def enqueue(self, queue: str, messages: list[str], deliver_at: datetime | None) -> None: ...

    def read_entity(self, entity: EntityId) -> str | None: ...

    def list_entities(self, filter_: str) -> str: ...

    def links(self, instance_id: str) -> str: ...

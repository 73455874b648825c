"""What this package asks of its host.

There are two of each: the real ones, behind the imports of the component (`dacapo.guest`), and those that follow a
script, for tests without a host (`dacapo.testing`).
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
        """How it ended: JSON, or why it failed. Asked only of what `Host.wait_watched` named."""

    def cancel(self) -> None:
        """Gives up a timer or a wait for an event."""

    def watch(self, number: int) -> None:
        """Has `Host.wait_watched` report it by this number, once."""

    def unwatch(self) -> None:
        """Ends that."""


class Host(Protocol):
    """The interface `orchestration` of the contract, in Python's own types."""

    def schedule(self, action: Action) -> Handle: ...

    def wait_watched(self) -> Sequence[int]:
        """Blocks until some that are watched have completed, and gives their numbers, the one that completed first first."""

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
    """The interface `management` of the contract: what an activity may ask. Raises `Failure`."""

    def links(self, instance_id: str) -> str: ...

    def start_orchestration(self, name: str, input_: str, instance_id: str | None, version: str | None) -> str: ...

    def send_http(self, request: str) -> str: ...

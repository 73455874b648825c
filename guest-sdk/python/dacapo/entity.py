"""Entities: durable state with operations that run one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dacapo import border, payload
from dacapo.action import EntityId, operation_of
from dacapo.declaration import FunctionName, name_of
from dacapo.host import Host


@dataclass(frozen=True)
class Operation:
    """One operation. Payloads are JSON texts."""

    entity: EntityId
    name: str
    input: str
    state: str | None


class DurableEntityContext:
    """The context of one operation of an entity. An operation that fails changes nothing."""

    def __init__(self, host: Host, operation: Operation):
        self._host = host
        self._operation = operation
        self._decoded = False
        self._state: Any = None
        self._exists = operation.state is not None
        self._result: Any = None

    @property
    def entity_id(self) -> EntityId:
        """The id of the entity."""
        return self._operation.entity

    @property
    def entity_name(self) -> str:
        """The name of the entity function."""
        return self._operation.entity.name

    @property
    def entity_key(self) -> str:
        """The key of the entity."""
        return self._operation.entity.key

    @property
    def operation_name(self) -> str:
        """The name of the operation."""
        return self._operation.name

    @property
    def is_newly_constructed(self) -> bool:
        """Whether the entity had no state before this operation."""
        return self._operation.state is None

    def get_input(self, expected_type: type | None = None) -> Any:
        """The input of the operation; None if there is none."""
        return payload.decode(self._operation.input, expected_type)

    def get_state(self, initializer: Callable[[], Any] | None = None, expected_type: type | None = None) -> Any:
        """The state, or the result of the initializer if there is none."""
        if not self._decoded:
            self._decoded = True
            if self._operation.state is not None:
                self._state = payload.decode(self._operation.state, expected_type)
        if self._state is None and initializer is not None:
            return initializer()
        return self._state

    def set_state(self, state: Any) -> None:
        """Replaces the state."""
        self._decoded = self._exists = True
        self._state = state

    def set_result(self, result: Any) -> None:
        """Sets the result for a caller."""
        self._result = result

    def destruct_on_exit(self) -> None:
        """Deletes the entity after this operation."""
        self._decoded, self._exists, self._state = True, False, None

    def signal_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None, deliver_at: datetime | None = None
    ) -> None:
        """Sends a one-way operation to another entity. It runs as soon as possible, or not before `deliver_at`."""
        entity, operation = operation_of(entityId, operationName)
        if deliver_at is not None:
            border.instance(deliver_at, datetime, "deliver_at")
        input_ = payload.encode(operationInput, f"the input of `{operation}` of {entity}")
        self._host.signal_entity(entity, operation, input_, deliver_at)

    def start_orchestration(self, name: FunctionName, input_: Any = None, instance_id: str | None = None) -> str:
        """Starts an orchestration that runs on its own, and returns its instance id."""
        encoded = payload.encode_start_input(input_, f"the input of `{name_of(name)}`")
        return self._host.start_orchestration(name_of(name), encoded, border.optional_new_id(instance_id))

    def outcome(self) -> tuple[str, str | None]:
        """The result and the new state, as JSON. None as the state deletes the entity."""
        of_what = f"the result of `{self.operation_name}` of {self.entity_id}"
        result = payload.encode(self._result, of_what, "InvalidOutput")
        if not self._exists:
            return result, None
        if not self._decoded:
            return result, self._operation.state
        return result, payload.encode(self._state, f"the state of {self.entity_id}", "InvalidState")

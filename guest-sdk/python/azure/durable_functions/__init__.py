"""`azure.durable_functions`, as existing apps import it: another name for the package `dacapo`."""

import sys
import types

import dacapo
from dacapo import *  # noqa: F403
from dacapo import status, testing
from dacapo.task import AtomicTask, CompoundTask, WhenAllTask, WhenAnyTask

__all__ = dacapo.__all__

_TASKS = {
    "TaskBase": dacapo.TaskBase,
    "TaskState": dacapo.TaskState,
    "AtomicTask": AtomicTask,
    "EventTask": dacapo.EventTask,
    "TimerTask": dacapo.TimerTask,
    "CompoundTask": CompoundTask,
    "WhenAllTask": WhenAllTask,
    "WhenAnyTask": WhenAnyTask,
}

_OF_CLIENT = ("DurableOrchestrationStatus", "EntityStateResponse", "PurgeHistoryResult")

_MODELS = (
    "DurableEntityContext",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "OrchestrationRuntimeStatus",
    "RetryOptions",
)

_MODULES = {
    "decorators": {"Blueprint": dacapo.Blueprint, "DFApp": dacapo.DFApp},
    "decorators.durable_app": {"Blueprint": dacapo.Blueprint, "DFApp": dacapo.DFApp},
    "entity": {"Entity": dacapo.Entity},
    "models": {
        **{name: getattr(dacapo, name) for name in (*_MODELS, "ManagedIdentityTokenSource", "TokenSource")},
        **{name: getattr(status, name) for name in _OF_CLIENT},
        **_TASKS,
    },
    **{f"models.{name}": {name: getattr(status, name)} for name in _OF_CLIENT},
    **{f"models.{name}": {name: getattr(dacapo, name)} for name in _MODELS},
    "models.Task": _TASKS,
    "models.TokenSource": {
        "ManagedIdentityTokenSource": dacapo.ManagedIdentityTokenSource,
        "TokenSource": dacapo.TokenSource,
    },
    "models.utils": {},
    "models.utils.entity_utils": {"EntityId": dacapo.EntityId},
    "orchestrator": {"Orchestrator": dacapo.Orchestrator},
    "testing": {"orchestrator_generator_wrapper": testing.orchestrator_generator_wrapper},
}
"""The modules of the original whose names apps and their tests import, and what they take from them."""

for _name, _members in _MODULES.items():
    _module = types.ModuleType(f"{__name__}.{_name}")
    _module.__dict__.update(_members)
    _module.__path__ = []
    sys.modules[_module.__name__] = _module
    if "." not in _name:
        globals()[_name] = _module

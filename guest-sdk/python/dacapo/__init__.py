"""Durable orchestrations in Python, for Dacapo.

The API is that of `azure-functions-durable` 1.x, and `azure.durable_functions` is another name for this package:

    import azure.durable_functions as df

    app = df.DFApp()

    @app.activity_trigger(input_name="city")
    def say_hello(city: str) -> str:
        return f"Hello {city}!"

    @app.orchestration_trigger(context_name="context")
    def hello(context: df.DurableOrchestrationContext):
        first = yield context.call_activity(say_hello, "Tokyo")
        second = yield context.call_activity(say_hello, "Seattle")
        return [first, second]

An orchestrator may also be an `async` function. Then tasks are awaited, `asyncio.gather` waits for several, and
`asyncio.sleep` is a durable timer:

    @app.orchestration_trigger(context_name="context")
    async def hello_all(context: df.DurableOrchestrationContext):
        await asyncio.sleep(24 * 3600)
        return await asyncio.gather(*(context.call_activity(say_hello, city) for city in context.get_input()))

`dacapo.testing` runs an orchestrator without a host.
"""

from dacapo.action import EntityId, RetryOptions
from dacapo.app import Blueprint, DFApp
from dacapo.calls import ActivityCall, TriggerCall
from dacapo.client import DurableOrchestrationClient
from dacapo.context import DurableLock, DurableOrchestrationContext, ManagedIdentityTokenSource, TokenSource
from dacapo.declaration import Entity, FunctionBuilder, Orchestrator
from dacapo.entity import DurableEntityContext
from dacapo.failure import Failure
from dacapo.status import OrchestrationRuntimeStatus
from dacapo.task import EventTask, TaskBase, TaskState, TimerTask

__all__ = [
    "ActivityCall",
    "Blueprint",
    "DFApp",
    "DurableEntityContext",
    "DurableLock",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "Entity",
    "EntityId",
    "EventTask",
    "Failure",
    "FunctionBuilder",
    "ManagedIdentityTokenSource",
    "OrchestrationRuntimeStatus",
    "Orchestrator",
    "RetryOptions",
    "TaskBase",
    "TaskState",
    "TimerTask",
    "TokenSource",
    "TriggerCall",
]

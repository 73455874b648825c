"""An order that waits for its approval."""

import asyncio

import azure.durable_functions as df

app = df.DFApp()

THREE_DAYS = 3 * 86_400


@app.orchestration_trigger(context_name="context")
async def order(context: df.DurableOrchestrationContext) -> str:
    """Defines what happens, in which order. It survives crashes and restarts, and may take days."""
    retry = df.RetryOptions(1_000, 5, backoff_coefficient=2)
    reservation = await context.call_activity_with_retry(reserve, retry, context.get_input())
    try:
        approved = await asyncio.wait_for(context.wait_for_external_event("Approval"), timeout=THREE_DAYS)
    except TimeoutError:
        return f"{reservation} has expired"
    return f"{reservation} is on its way" if approved else f"{reservation} was rejected"


@app.activity_trigger(input_name="item")
def reserve(item: str) -> str:
    """Does the work. All input and output belongs in activities."""
    if not item:
        raise df.Failure("NothingToReserve", "an order names an item", retriable=False)
    return f"the reservation of {item}"

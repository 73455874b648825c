"""An order that waits for its approval."""

import asyncio

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

THREE_DAYS = 3 * 86_400


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_order(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Starts an order of the item in the body, a JSON text. The response says where its status is."""
    instance_id = await client.start_new(order, client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


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

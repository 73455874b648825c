"""Durable functions with asyncio: tasks are awaited, and a sleep is a durable timer."""

import asyncio

import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
async def order(context: df.DurableOrchestrationContext):
    items = context.get_input()
    async with asyncio.TaskGroup() as group:
        reservations = [group.create_task(context.call_activity(reserve, item)) for item in items]

    try:
        approved = await asyncio.wait_for(context.wait_for_external_event("Approval"), timeout=2)
    except TimeoutError:
        approved = False
    if not approved:
        await asyncio.gather(*(context.call_activity(release, item) for item in items))
        raise df.Failure("NotApproved", f"nobody approved {', '.join(items)}", retriable=False)

    await asyncio.sleep(0.2)
    return [reservation.result() for reservation in reservations]


@app.orchestration_trigger(context_name="context")
async def checkout(context: df.DurableOrchestrationContext):
    """Starts orders that run on their own, and returns their instance ids."""
    return await context.call_activity(place, context.get_input())


@app.activity_trigger(input_name="baskets")
def place(baskets: dict, context: df.ActivityCall) -> list:
    return [context.start_orchestration(order, items, f"order-{customer}") for customer, items in baskets.items()]


@app.orchestration_trigger(context_name="context")
async def transfer(context: df.DurableOrchestrationContext):
    amount = context.get_input()
    source, target = df.EntityId("Account", "source"), df.EntityId("Account", "target")
    with await context.lock_entities(source, target):
        if await context.call_entity(source, "balance") < amount:
            raise df.Failure("InsufficientFunds", f"less than {amount} is left", retriable=False)
        await context.call_entity(source, "add", -amount)
        await context.call_entity(target, "add", amount)
        return [await context.call_entity(account, "balance") for account in (source, target)]


@app.entity_trigger(context_name="context", entity_name="Account")
def account(context: df.DurableEntityContext):
    match context.operation_name:
        case "add":
            context.set_state(context.get_state(lambda: 100) + context.get_input())
        case "balance":
            context.set_result(context.get_state(lambda: 100))
        case operation:
            raise ValueError(f"an account has no operation {operation}")


@app.activity_trigger(input_name="item")
async def reserve(item: str) -> str:
    await asyncio.sleep(0.01)
    return f"reservation of {item}"


@app.activity_trigger(input_name="item")
def release(item: str) -> None:
    print(f"released {item}")

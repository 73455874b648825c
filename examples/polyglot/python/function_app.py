"""The office of the print shop: counts the pages of a text, and closes the day."""

import textwrap

import azure.durable_functions as df

app = df.DFApp()

COLUMNS = 66
LINES = 40


@app.activity_trigger(input_name="text")
def count_pages(text: str) -> int:
    lines = [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, COLUMNS) or [""]]
    return max(1, -(-len(lines) // LINES))


@app.orchestration_trigger(context_name="context")
async def close_day(context: df.DurableOrchestrationContext):
    """Reads the odometer, an entity in Rust, and calls the servicing of the press, an orchestration in Rust."""
    press = context.get_input() or "press-1"
    sheets = await context.call_entity(df.EntityId("Odometer", press), "get")
    serviced = await context.call_sub_orchestrator("service_press", {"press": press, "due_at": 100})
    return {"press": press, "sheets": sheets, "serviced": serviced}

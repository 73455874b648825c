from datetime import timedelta

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    rounds = context.get_input() or {"left": 3, "cleaned": 0}
    cleaned = yield context.call_activity("Clean", "temp")
    rounds = {"left": rounds["left"] - 1, "cleaned": rounds["cleaned"] + cleaned}
    if rounds["left"] == 0:
        return rounds["cleaned"]

    next_cleanup = context.current_utc_datetime + timedelta(seconds=1)
    yield context.create_timer(next_cleanup)
    context.continue_as_new(rounds)


main = df.Orchestrator.create(orchestrator_function)

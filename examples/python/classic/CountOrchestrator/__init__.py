import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    entity_id = df.EntityId("DeviceCounter", "myCounter")
    context.signal_entity(entity_id, "add", 3)
    context.signal_entity(entity_id, "add", 4)
    state = yield context.call_entity(entity_id, "get")
    return state


main = df.Orchestrator.create(orchestrator_function)

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    started = []
    for device in context.get_input():
        instance_id = yield context.call_activity("StartProvisioning", device)
        started.append(instance_id)
    return started


main = df.Orchestrator.create(orchestrator_function)

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    devices = context.get_input()

    provisioning_tasks = []
    id_ = 0
    for device in devices:
        child_id = f"{context.instance_id}:{id_}"
        provisioning_tasks.append(context.call_sub_orchestrator("ProvisionDevice", device, child_id))
        id_ += 1

    return (yield context.task_all(provisioning_tasks))


main = df.Orchestrator.create(orchestrator_function)

from shared.devices import steps_of

import azure.durable_functions as df


def orchestrator_function(context: df.DurableOrchestrationContext):
    device = context.get_input()
    done = []
    for step in steps_of(device):
        result = yield context.call_activity("SetUp", step)
        done.append(result)
    return done


main = df.Orchestrator.create(orchestrator_function)

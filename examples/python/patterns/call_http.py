"""Calls an HTTP API from an orchestrator, and polls it while it answers 202."""

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def check_site(context: df.DurableOrchestrationContext):
    url = context.get_input()
    response = yield context.call_http("GET", url, headers={"Accept": "text/plain"})
    if response["statusCode"] >= 400:
        raise Exception(f"{url} answers {response['statusCode']}")
    return response["content"]

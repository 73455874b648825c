"""create_check_status_response, create_http_management_payload, get_client_response_links: every link works."""

import json

from checks import check, equal, true
from world import fresh

LINKS = [
    "id",
    "statusQueryGetUri",
    "sendEventPostUri",
    "terminatePostUri",
    "rewindPostUri",
    "purgeHistoryDeleteUri",
    "restartPostUri",
    "suspendPostUri",
    "resumePostUri",
]


@check("create_check_status_response")
async def check_status(world):
    instance_id = await world.instance("running")
    answer = world.client.create_check_status_response(world.trigger(), instance_id)
    body = json.loads(answer.get_body())
    equal((answer.status_code, sorted(body)), (202, sorted(LINKS)), "status code and members")
    equal(body["id"], instance_id, "the id")
    equal((answer.headers["Location"], answer.headers["Retry-After"]), (body["statusQueryGetUri"], "10"), "the headers")


@check("the links go to where the trigger's request went")
async def other_origin(world):
    links = world.client.get_client_response_links(world.trigger("https://orders.example/api/x?y=1"), "abc")
    for name in LINKS[1:]:
        start = "https://orders.example/runtime/webhooks/durabletask/instances/abc"
        true(links[name].startswith(start), f"{name} is {links[name]}")
    equal(world.client.get_client_response_links(None, "abc"), world.client.create_http_management_payload("abc"), "the payload")


@check("the host's own links are those of the client, but for the key")
async def same_links(world):
    instance_id = fresh()
    code, body = await world.raw("POST", f"orchestrators/echo_orchestrator/{instance_id}", 1)
    equal(code, 202, "the status code")
    links = world.client.create_http_management_payload(instance_id)
    del links["rewindPostUri"]  # which the body of Durable Functions does not have

    def without_key(links):
        return {name: link.split("&code=")[0] for name, link in links.items()}

    equal(without_key(links), without_key(body), "the links")


async def link_works(world, name, state, method, expected, becomes):
    instance_id = await world.instance(state)
    links = json.loads(world.client.create_check_status_response(world.trigger(), instance_id).get_body())
    url = links[name].replace("{eventName}", "Done").replace("{text}", "by%20link")
    code, body = await world.raw(method, url, [] if name == "sendEventPostUri" else None)
    equal(code, expected, f"the status code ({body})")
    if becomes is None:
        equal((await world.client.get_status(instance_id)).runtime_status, None, "the status")
    else:
        status = await world.until(body["id"] if name == "restartPostUri" else instance_id, becomes)
        equal(status.output, {"terminatePostUri": "by link", "sendEventPostUri": []}.get(name, status.output), "the output")


for name, state, method, code, becomes in [
    ("statusQueryGetUri", "running", "GET", 202, "Running"),
    ("statusQueryGetUri", "completed", "GET", 200, "Completed"),
    ("statusQueryGetUri", "failed", "GET", 200, "Failed"),
    ("sendEventPostUri", "running", "POST", 202, "Completed"),
    ("terminatePostUri", "running", "POST", 202, "Terminated"),
    ("suspendPostUri", "running", "POST", 202, "Suspended"),
    ("resumePostUri", "suspended", "POST", 202, "Running"),
    ("rewindPostUri", "failed", "POST", 202, "Failed"),
    ("restartPostUri", "completed", "POST", 202, "Completed"),
    ("purgeHistoryDeleteUri", "completed", "DELETE", 200, None),
]:
    check(f"the link {name} of a {state} instance", name, state, method, code, becomes)(link_works)


@check("the links of an id with awkward characters")
async def awkward_links(world):
    instance_id = f"{fresh()} a+b:c;d=e&f gr\u00fc\u00df"
    await world.client.start_new("collect_events", instance_id)
    links = world.client.create_http_management_payload(instance_id)
    code, body = await world.raw("GET", links["statusQueryGetUri"])
    equal((code, body["instanceId"]), (202, instance_id), "status code and id")
    code, _ = await world.raw("POST", links["terminatePostUri"].replace("{text}", "r"))
    equal(code, 202, "the status code")
    await world.until(instance_id, "Terminated")

"""Random requests generated from the host's OpenAPI document: responses conform to it, and no instance is lost."""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from checks import CHECKS, Failed, check_alone, equal, true
from world import World, fresh

HERE = Path(__file__).parent
CONFORMANCE = [
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "named_server_error",
]
# Operations whose responses never end are checked separately.
STREAM = "text/event-stream"
WITNESSES = 40
REQUEST_SECONDS_MAX = 10
SECONDS_MAX = 3_600


class Fuzz(World):
    """Instances that the requests may change, and witnesses that they must not."""

    def __init__(self, options, session):
        super().__init__(options.url, options.binding, options.switch, session)
        self.options = options
        self.traces = Path(tempfile.mkdtemp()) / "traces"
        self.prey = []
        self.witnesses = []

    async def prepare(self):
        for state in ["completed", "failed", "terminated", "running", "suspended"] * 3:
            self.prey.append(await self.instance(state))
        for _ in range(WITNESSES):
            self.witnesses.append(await self.start_raw("wait_event", "go"))

    async def document(self):
        async with self.session.get(f"{self.url}/openapi.json") as answer:
            equal(answer.status, 200, "the status code of the document")
            return await answer.json(content_type=None)

    def names(self):
        return {
            "functionName": ["collect_events", "collect_events", "echo_orchestrator", "return_error"],
            "instanceId": [*self.prey, *self.prey, "@counter@fuzz", fresh()],
            "entityName": ["counter"],
            "name": ["counter", "echo_orchestrator"],
            "entityKey": ["fuzz", "$"],
            "key": ["fuzz", "$"],
            "eventName": ["Item", "Done", "Go"],
        }


def operations(document):
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "delete", "patch", "head", "options"):
            if method in item:
                yield path, method, item[method]


def streams(document):
    for path, method, operation in operations(document):
        if any(STREAM in answer.get("content", {}) for answer in operation["responses"].values()):
            yield path, method


@check_alone("the document is OpenAPI 3.1 and names the routes of the contract")
async def document(world):
    document = await world.document()
    true(document["openapi"].startswith("3.1"), f"it is OpenAPI {document['openapi']}")
    base = "/runtime/webhooks/durabletask"
    seen = {(method, re.sub(r"\{\w+\}", "{}", path)) for path, method, _ in operations(document)}
    wanted = {
        ("post", f"{base}/orchestrators/{{}}"),
        ("post", f"{base}/orchestrators/{{}}/{{}}"),
        ("get", f"{base}/instances"),
        ("delete", f"{base}/instances"),
        ("get", f"{base}/instances/{{}}"),
        ("delete", f"{base}/instances/{{}}"),
        *(("post", f"{base}/instances/{{}}/{verb}") for verb in ["terminate", "suspend", "resume", "rewind", "restart"]),
        ("post", f"{base}/instances/{{}}/restartWithOptions"),
        ("post", f"{base}/instances/{{}}/raiseEvent/{{}}"),
        ("get", f"{base}/entities"),
        ("get", f"{base}/entities/{{}}"),
        ("get", f"{base}/entities/{{}}/{{}}"),
        ("post", f"{base}/entities/{{}}/{{}}"),
        ("delete", f"{base}/entities/{{}}/{{}}"),
    }
    equal(sorted(wanted - seen), [], "what is missing")


# These affect all instances of an app or of a filter, including the witnesses.
EXCLUDED = ["undeployApp", "suspendInstances", "resumeInstances", "terminateInstances", "rewindInstances"]


@check_alone("random requests are answered as the document says")
async def conforms(world):
    document = await world.document()
    excluded = {path for path, _ in streams(document)}
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{world.url}/openapi.json", "--url", world.url),
        *("--checks", ",".join(CONFORMANCE), "--max-examples", str(world.options.examples), "--seed", str(world.options.seed)),
        *("--request-timeout", str(REQUEST_SECONDS_MAX), "--continue-on-failure", "--generation-database", "none"),
        *("--no-color", "--warnings", "off", *(f"--exclude-path={path}" for path in sorted(excluded))),
        *(f"--exclude-operation-id={operation}" for operation in EXCLUDED),
    ]
    waits = ["timeout", "wait", "pollinginterval", "retryinterval"]
    prey = {"names": world.names(), "waits": waits, "waiting": "collect_events", "witnesses": world.witnesses}
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "PYTHONPATH": str(HERE),
        "FUZZ_PREY": json.dumps(prey),
        "FUZZ_TRACES": str(world.traces),
    }
    options = {"env": environment, "cwd": world.traces.parent, "capture_output": True, "text": True}
    run = await asyncio.to_thread(subprocess.run, command, **options)
    for line in f"{run.stdout}\n{run.stderr}".splitlines():
        print(line[:1_000], file=sys.stderr)
    cases = re.search(r"(\d+) generated", run.stdout)
    true(run.returncode == 0, f"it says (all of it is below): {failures(run.stdout)}")
    operations_tested = int(re.search(r"Tested: (\d+)", run.stdout)[1])
    true(int(cases[1]) >= 20 * operations_tested, f"there were only {cases[1]} requests")
    # Schemathesis does not test the document's own route.
    offered = [(path, operation["operationId"]) for path, _, operation in operations(document)]
    equal(sorted(set(EXCLUDED) - {name for _, name in offered}), [], "what is excluded and does not exist")
    wanted = [path for path, name in offered if path not in excluded | {"/openapi.json"} and name not in EXCLUDED]
    equal(operations_tested, len(wanted), "the number of tested operations")


def failures(output):
    summary = output[output.find("= SUMMARY =") :]
    headings = re.findall(r"^_+ (.+?) _+$", output, re.MULTILINE)
    return f"{', '.join(headings)}: {summary}"


@check_alone("streams of events begin at once")
async def streams_begin(world):
    for path, method in streams(await world.document()):
        known = {name: values[0] for name, values in world.names().items()} | {"instanceId": world.witnesses[0]}
        url = world.url + re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path)
        async with asyncio.timeout(REQUEST_SECONDS_MAX), world.session.request(method, url) as answer:
            equal((answer.status, answer.content_type), (200, STREAM), f"the answer of {path}")


@check_alone("who asks for an answer after a very long time gets it when it is there")
async def patience(world):
    for patience in ["100000", "1e18", "18446744073709551615"]:
        code, body = await world.raw("POST", f"orchestrators/echo_orchestrator?timeout={patience}&pollingInterval=1", "x")
        true((code, body) == (200, "x") or code == 400, f"the answer to {patience} is {code} {body}")


@check_alone("the host still answers")
async def answers(world):
    begun = time.monotonic()
    code, body = await world.raw("POST", "orchestrators/chain?timeout=30&pollingInterval=1", 5)
    equal((code, body), (200, 5), "the answer")
    true(time.monotonic() - begun < 10, f"it took {time.monotonic() - begun} seconds")


async def listed(world, query):
    """Returns the ids on all pages."""
    ids, token = [], ""
    for _ in range(10_000):
        headers = {"x-ms-continuation-token": token} if token else {}
        url = f"{world.url}/runtime/webhooks/durabletask/instances?{query}"
        async with world.session.get(url, headers=headers) as answer:
            ids += [status["instanceId"] for status in await answer.json(content_type=None)]
            token = answer.headers.get("x-ms-continuation-token")
        if not token:
            return ids
    raise Failed("the list does not end")


@check_alone("no instance is lost")
async def none_lost(world):
    traces = [json.loads(line) for line in world.traces.read_text("utf-8").splitlines()]
    touched = {trace["touched"] for trace in traces if "touched" in trace}
    started = {trace["started"] for trace in traces if "started" in trace} - touched
    true(len(started) >= 5, f"only {len(started)} instances were started and left alone")
    ids = await listed(world, "top=97")
    equal(len(ids), len(set(ids)), "the number of listed instances, of which each should be there once,")
    equal(sorted((started | set(world.witnesses)) - set(ids)), [], "the instances that are not listed")
    for instance_id in started:
        code, status = await world.raw("GET", f"instances/{instance_id}?showInput=false")
        true(code == 202, f"{instance_id} waits for events, but the answer is {code} {status}")


@check_alone("the witnesses go on")
async def witnesses(world):
    for number, instance_id in enumerate(world.witnesses):
        await world.client.raise_event(instance_id, "go", number)
        equal((await world.until(instance_id, "Completed")).output, str(number), "the output")


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="the address of the host")
    parser.add_argument("--binding", required=True, help="what the host would hand to a function as its durable client, in JSON")
    parser.add_argument("--switch", required=True, help="the address of a service that can be switched on")
    parser.add_argument("--examples", type=int, default=12, help="random requests per operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    async with aiohttp.ClientSession() as session:
        world = Fuzz(options, session)
        try:
            await world.prepare()
            return await CHECKS.run(world, "", SECONDS_MAX)
        finally:
            await world.close()


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main()) else 1)

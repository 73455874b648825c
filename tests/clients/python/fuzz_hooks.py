"""Hooks that adapt schemathesis to this host. Loaded by schemathesis, which `fuzz.py` runs."""

import json
import os
import re
import zlib

import schemathesis

PREY = json.loads(os.environ["FUZZ_PREY"])
TRACES = os.environ["FUZZ_TRACES"]
GENERATED_ID = re.compile(r"^[0-9a-f]{32}$")
SECONDS_MAX = 0.05
HUB = "testhubname"


@schemathesis.serializer("application/wasm", "application/octet-stream", "application/x-ndjson")
def raw_bytes(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(_context, case, kwargs):
    """Random names would only get 404s, so most are replaced with existing ones.

    The names of witnesses, which schemathesis takes from responses, are replaced, too. Waits are shortened: a client
    may request a response after hours.
    """
    for name, known in PREY["names"].items():
        value = (case.path_parameters or {}).get(name)
        if isinstance(value, str) and not GENERATED_ID.match(value):
            digest = zlib.crc32(f"{name}{value}{case.query}".encode(errors="replace"))
            if digest % 4 or value in PREY["witnesses"]:
                case.path_parameters[name] = known[digest // 4 % len(known)]
    # Other tests use this hub: it must not be suspended, limited or deleted.
    if str((case.path_parameters or {}).get("hubName", "")).lower() == HUB:
        case.path_parameters["hubName"] = "another"
    case.query = shortened(case.path, case.query or {})


def shortened(path, query):
    """Shortens the waits in a query, ignoring the case of names. Values that are not numbers are kept."""
    short = dict(query)
    if path.endswith("/wait") and not any(name.lower() == "timeout" and value not in ("", None) for name, value in query.items()):
        short["timeout"] = SECONDS_MAX
    for name in query:
        try:
            if name.lower() in PREY["waits"] and float(query[name]) > SECONDS_MAX:
                short[name] = SECONDS_MAX
        except (TypeError, ValueError):
            pass
    return short


@schemathesis.hook
def after_call(_context, case, response):
    """Records which instances were started, and which were changed afterwards."""
    parameters = case.path_parameters or {}
    trace = None
    if case.method.upper() != "GET" and "instanceId" in parameters:
        trace = {"touched": parameters["instanceId"]}
    elif response.status_code == 202 and parameters.get("functionName") == PREY["waiting"]:
        trace = {"started": response.json()["id"]}
    if trace:
        with open(TRACES, "a", encoding="utf-8") as file:
            file.write(json.dumps(trace) + "\n")


@schemathesis.check
def named_server_error(_context, response, case):
    """A 5xx is allowed only where the contract specifies it, and for the specified reason."""
    code = response.status_code
    if code < 500:
        return
    path, query = case.path.lower(), {name.lower(): str(value).lower() for name, value in (case.query or {}).items()}
    text = response.content.decode(errors="replace")
    named = (
        (code == 500 and path.endswith("/suspend") and "cannot suspend" in text.lower())
        or (code == 500 and path.endswith("/resume") and "cannot resume" in text.lower())
        or (code == 500 and query.get("returninternalservererroronfailure") == "true" and '"runtimeStatus":"Failed"' in text)
    )
    if not named or str(code) not in case.operation.definition.raw["responses"]:
        raise AssertionError(f"{code} is not named by the contract: {text[:300]}")

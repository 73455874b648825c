// createCheckStatusResponse, createHttpManagementPayload: every link works.

import { check, checkAlone, equal, truly } from "./checks.mjs";
import { clientOf, fresh } from "./world.mjs";

const LINKS = [
  "id",
  "statusQueryGetUri",
  "sendEventPostUri",
  "terminatePostUri",
  "rewindPostUri",
  "purgeHistoryDeleteUri",
  "restartPostUri",
  "suspendPostUri",
  "resumePostUri",
];

check("createCheckStatusResponse", async (world) => {
  const id = await world.instance("running");
  const answer = world.client.createCheckStatusResponse(world.trigger(), id);
  const body = await answer.json();
  equal([answer.status, Object.keys(body).sort()], [202, [...LINKS].sort()], "status code and members");
  equal(body.id, id, "the id");
  equal(answer.headers.get("location"), body.statusQueryGetUri, "the header Location");
  equal(answer.headers.get("retry-after"), "10", "the header Retry-After");
});

check("the links go to where the trigger's request went", async (world) => {
  const answer = world.client.createCheckStatusResponse(world.trigger("https://orders.example/api/x?y=1"), "abc");
  const links = await answer.json();
  for (const name of LINKS.slice(1)) {
    const start = "https://orders.example/runtime/webhooks/durabletask/instances/abc";
    truly(links[name].startsWith(start), `${name} is ${links[name]}`);
  }
});

check("the host's own links are those of the client, but for the key", async (world) => {
  const id = fresh();
  const [code, body] = await world.raw("POST", `orchestrators/echo_orchestrator/${id}`, 1);
  equal(code, 202, "the status code");
  const { rewindPostUri, ...links } = world.client.createHttpManagementPayload(id);
  truly(rewindPostUri.includes("/rewind?reason={text}&"), `the link to rewind is ${rewindPostUri}`);
  const withoutKey = (links) => Object.fromEntries(Object.entries(links).map(([name, link]) => [name, link.split("&code=")[0]]));
  equal(withoutKey(links), withoutKey(body), "the links");
});

for (const [name, state, method, code, becomes] of [
  ["statusQueryGetUri", "running", "GET", 202, "Running"],
  ["statusQueryGetUri", "completed", "GET", 200, "Completed"],
  ["statusQueryGetUri", "failed", "GET", 200, "Failed"],
  ["sendEventPostUri", "running", "POST", 202, "Completed"],
  ["terminatePostUri", "running", "POST", 202, "Terminated"],
  ["suspendPostUri", "running", "POST", 202, "Suspended"],
  ["resumePostUri", "suspended", "POST", 202, "Running"],
  ["rewindPostUri", "failed", "POST", 202, "Failed"],
  ["restartPostUri", "completed", "POST", 202, "Completed"],
  ["purgeHistoryDeleteUri", "completed", "DELETE", 200, null],
]) {
  check(`the link ${name} of a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    const links = await world.client.createCheckStatusResponse(world.trigger(), id).json();
    const url = links[name].replace("{eventName}", "Done").replace("{text}", "by%20link");
    const [seen, body] = await world.raw(method, url, name === "sendEventPostUri" ? [] : undefined);
    equal(seen, code, `the status code (${JSON.stringify(body)})`);
    if (becomes === null) {
      equal(await world.statusOrNone(id), null, "the status");
      return;
    }
    const { output } = await world.until(name === "restartPostUri" ? body.id : id, becomes);
    if (name === "terminatePostUri") equal(output, "by link", "the output");
    if (name === "sendEventPostUri") equal(output, [], "the output");
  });
}

check("the links of an id with awkward characters", async (world) => {
  const id = `${fresh()} a+b:c;d=e&f gr\u00fc\u00df`;
  await world.client.startNew("collect_events", { instanceId: id });
  const links = world.client.createHttpManagementPayload(id);
  const [code, body] = await world.raw("GET", links.statusQueryGetUri);
  equal([code, body.instanceId], [202, id], "status code and id");
  equal((await world.raw("POST", links.terminatePostUri.replace("{text}", "r")))[0], 202, "the status code");
  await world.until(id, "Terminated");
});

// It changes the environment temporarily, so it runs alone.
checkAlone("outside of a site the library sends the links, but not its RPC, to localhost:7071", async (world) => {
  const { WEBSITE_HOSTNAME } = process.env;
  delete process.env.WEBSITE_HOSTNAME;
  const client = clientOf(world.binding);
  process.env.WEBSITE_HOSTNAME = WEBSITE_HOSTNAME;
  const { statusQueryGetUri } = client.createHttpManagementPayload("abc");
  truly(statusQueryGetUri.startsWith("http://localhost:7071/runtime/"), `the link is ${statusQueryGetUri}`);
  if (!world.webhooks) await world.until(await client.startNew("echo_orchestrator"), "Completed");
});

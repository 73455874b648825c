// The tested host, and instances in every state that an instance can be in.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Failed, shown } from "./checks.mjs";
import { HttpRequest, InvocationContext, durable } from "./library.mjs";

export const STATES = ["completed", "failed", "terminated", "running", "suspended", "pending", "missing"];
export const ENDED = ["completed", "failed", "terminated"];

export class World {
  constructor({ url, binding, switchUrl }) {
    this.url = url;
    this.binding = binding;
    this.hub = binding.taskHubName;
    this.switchUrl = switchUrl;
    /** Without a base address for RPC the library uses the management URLs. */
    this.webhooks = binding.rpcBaseUrl === undefined;
    this.called = new Set();
    this.realClient = clientOf(binding);
    this.client = new Proxy(this.realClient, {
      get: (client, name) => {
        this.called.add(name);
        return typeof client[name] === "function" ? client[name].bind(client) : client[name];
      },
    });
  }

  /** The request that an HTTP triggered function gets. */
  trigger(url = `${this.url}/api/orders`) {
    return new HttpRequest({ method: "POST", url });
  }

  /** A request without the client: its status, and its body. */
  async raw(method, url, body) {
    const target = url.startsWith("http") ? url : `${this.url}/runtime/webhooks/durabletask/${url}`;
    const headers = { "content-type": "application/json" };
    const answer = await fetch(target, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    return [answer.status, text === "" ? null : JSON.parse(text)];
  }

  async statusOrNone(id) {
    try {
      return await this.client.getStatus(id);
    } catch (error) {
      if (/HTTP 404 response/.test(error.message)) return null;
      throw error;
    }
  }

  /** Waits for a status, and returns the client's status object. */
  async until(id, wanted) {
    let status;
    for (let round = 0; round < 2000; round += 1) {
      status = await this.client.getStatus(id);
      if (status.runtimeStatus === wanted) return status;
      if (ENDED.includes(status.runtimeStatus.toLowerCase())) break;
      await sleep(20);
    }
    throw new Failed(`${id} should become ${wanted}, but is ${shown(status)}`);
  }

  /** Reads until what is read passes. */
  async reading(read, passes, what) {
    let seen;
    for (let round = 0; round < 500; round += 1) {
      seen = await read();
      if (passes(seen)) return seen;
      await sleep(20);
    }
    throw new Failed(`${what} is still ${shown(seen)}`);
  }

  /** A new instance in the given state. */
  async instance(state) {
    const id = fresh();
    switch (state) {
      case "missing":
        return id;
      case "pending": {
        const [code, body] = await this.raw("POST", `orchestrators/echo_orchestrator/${id}?startAt=2100-01-01T00:00:00Z`, null);
        if (code !== 202) throw new Failed(`a start in the future answers ${code} ${shown(body)}`);
        break;
      }
      case "completed":
        await this.client.startNew("echo_orchestrator", { instanceId: id, input: { a: 1 } });
        break;
      case "failed":
        await this.client.startNew("return_error", { instanceId: id, input: null });
        break;
      default:
        await this.client.startNew("collect_events", { instanceId: id });
        await this.until(id, "Running");
        if (state === "terminated") await this.client.terminate(id, "not needed");
        if (state === "suspended") await this.client.suspend(id, "for now");
    }
    await this.until(id, statusName(state));
    return id;
  }
}

/** A client, as a function gets it: from an invocation whose extra input is the binding. */
export function clientOf(binding) {
  const input = durable.input.durableClient();
  const context = new InvocationContext({
    functionName: "driver",
    invocationId: randomUUID(),
    logHandler: () => {},
    options: { extraInputs: [input] },
  });
  context.extraInputs.set(input, binding);
  return durable.getClient(context);
}

export function statusName(state) {
  return state[0].toUpperCase() + state.slice(1);
}

export function fresh() {
  return `js-${randomUUID().replaceAll("-", "")}`;
}

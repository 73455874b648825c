import { activity, DurableError, http, orchestrator } from "dacapo-sdk";

/** Does the work. All input and output belongs in activities. */
export const reserve = activity("reserve", async (item) => {
  if (!item) {
    throw new DurableError("an order names an item", { type: "NothingToReserve", retriable: false });
  }
  return `the reservation of ${item}`;
});

/** Defines what happens, in which order. It survives crashes and restarts, and may take days. */
export const order = orchestrator("order", async (ctx, item) => {
  const retry = { maxAttempts: 5, firstInterval: { seconds: 1 }, backoffCoefficient: 2 };
  const reservation = await ctx.callActivity(reserve, item, { retry });

  const approved = await ctx.waitForExternalEvent("Approval", { timeout: { days: 3 } });
  if (approved === undefined) {
    return `${reservation} has expired`;
  }
  return approved ? `${reservation} is on its way` : `${reservation} was rejected`;
});

/** Starts an order: a request with the item as JSON. The response says where to ask for its status. */
export const startOrder = http("startOrder", { route: "orders", methods: "POST", authLevel: "anonymous" }, async (request, { client }) => {
  const instanceId = await client.startOrchestration(order, await request.json());
  return client.checkStatusResponse(request, instanceId);
});

import { activity, DurableError, entity, orchestrator, TaskFailedError } from "dacapo-sdk";

interface Order {
  customer: string;
  items: string[];
  /** An order above this many cents needs an approval. */
  limit?: number;
}

interface Receipt {
  customer: string;
  cents: number;
  parcels: string[];
}

const priceOf = activity("priceOf", async (item: string) => item.length * 250);

const charge = activity("charge", async (payment: { customer: string; cents: number }, context) => {
  if (payment.customer === "nobody") {
    throw new DurableError("there is no such customer", { type: "CardDeclined", retriable: false });
  }
  context.log(`charging ${payment.customer}, attempt ${context.attempt}, once per ${context.idempotencyKey}`);
  return { ...payment, id: crypto.randomUUID() };
});

const refund = activity("refund", (payment: { id: string }) => `refunded ${payment.id.length > 0}`);

const pack = activity("pack", (item: string) => {
  if (item === "unicorn") {
    throw new DurableError("unicorns are out of stock", { type: "OutOfStock", retriable: false });
  }
  return `parcel with a ${item}`;
});

/** The number of parcels sent to a customer, who is the key. */
export const Parcels = entity("Parcels", {
  initialState: () => ({ sent: 0 }),
  operations: {
    add(context, parcels: number) {
      context.state.sent += parcels;
      return context.state.sent;
    },
    sent: (context) => context.state.sent,
  },
});

/** Asks for all prices in parallel, waits for an approval if the order is large, and refunds the payment if packing fails. */
export const order = orchestrator("order", async (ctx, { customer, items, limit = 5000 }: Order): Promise<Receipt> => {
  const prices = await Promise.all(items.map((item) => ctx.callActivity(priceOf, item)));
  const cents = prices.reduce((sum, price) => sum + price, 0);

  if (cents > limit) {
    ctx.setCustomStatus({ waitingFor: "Approval", cents });
    const approved = await ctx.waitForExternalEvent<boolean>("Approval", { timeout: { days: 3 } });
    if (!approved) {
      throw new DurableError(`an order of ${cents} cents was not approved`, { type: "NotApproved", retriable: false });
    }
  }

  const payment = await ctx.callActivity(charge, { customer, cents }, { retry: { maxAttempts: 5, firstInterval: { seconds: 1 }, backoffCoefficient: 2 } });
  try {
    const parcels = await Promise.all(items.map((item) => ctx.callActivity(pack, item)));
    await ctx.entity(Parcels, customer).add(parcels.length);
    return { customer, cents, parcels };
  } catch (error) {
    ctx.log.warn("refunding", error);
    await ctx.callActivity(refund, payment);
    throw error;
  }
});

/** Runs each order as a sub-orchestration; a failure is reported, not thrown. */
export const orders = orchestrator("orders", async (ctx, list: Order[]) => {
  const results: string[] = [];
  for (const [index, each] of list.entries()) {
    try {
      const { parcels } = await ctx.callSubOrchestrator(order, each, { instanceId: `${ctx.instanceId}:${index}` });
      results.push(`${parcels.length} parcels`);
    } catch (error) {
      results.push(error instanceof TaskFailedError ? error.failureDetails.errorType : String(error));
    }
    await ctx.sleep({ milliseconds: 10 });
  }
  return results;
});

const place = activity("place", (list: Order[], context) =>
  Promise.all(list.map((each) => context.startOrchestration(order, each, { instanceId: `order-${each.customer}` }))),
);

/** Starts orders that run on their own, and returns their instance ids. */
export const checkout = orchestrator("checkout", (ctx, list: Order[]) => ctx.callActivity(place, list));

/** Returns the fastest answer, without waiting for the others. */
export const fastest = orchestrator("fastest", async (ctx, items: string[]) => {
  const { index, task } = await ctx.any(items.map((item) => ctx.callActivity(priceOf, item)));
  return { item: items[index], price: await task };
});

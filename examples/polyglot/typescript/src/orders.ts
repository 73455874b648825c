import { EntityId, orchestrator } from "dacapo-sdk";

interface Order {
  customer: string;
  text: string;
  copies: number;
  press?: string;
}

/** Inputs and outputs of functions in other languages are JSON: their types are only asserted here. */
export const printOrder = orchestrator("print_order", async (ctx, { customer, text, copies, press = "press-1" }: Order) => {
  const pages = await ctx.callActivity<number>("count_pages", text); // Python
  const cents = await ctx.callActivity<number>("price", { pages, copies }); // Rust

  const retry = { maxAttempts: 3, firstInterval: { milliseconds: 50 }, backoffCoefficient: 2 };
  const sheets = await ctx.callActivity<number>("print_sheets", { press, pages, copies }, { retry }); // Go

  const odometer = await ctx.callEntity<number>(new EntityId("Odometer", press), "add", sheets); // Rust
  return { customer, pages, cents, sheets, odometer };
});

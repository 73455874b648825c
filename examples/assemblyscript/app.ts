// The tour of Dacapo, in AssemblyScript.

import {
  Call, Failure, Outcome, RetryPolicy, Task, activity, callActivity, createTimer, currentTime, fail, orchestrator, quote, succeed,
  unquote, waitAny, waitForExternalEvent,
} from "./dacapo";

export { cabi_realloc, describe, runActivity, runOrchestrator } from "./dacapo";

// Calls activities one after the other.
orchestrator("hello_sequence", (input: string): Outcome => {
  const cities = ["Tokyo", "Seattle", "London"];
  const greetings: string[] = [];
  for (let i = 0; i < cities.length; i++) {
    const greeting = callActivity("say_hello", quote(cities[i])).wait();
    if (greeting.failed) return greeting;
    greetings.push(greeting.output);
  }
  return succeed("[" + greetings.join(",") + "]");
});

// Calls activities in parallel and adds up their results.
orchestrator("fan_out", (input: string): Outcome => {
  const n = <i32>parseFloat(input);
  const squares: Task[] = [];
  for (let i = 1; i <= n; i++) squares.push(callActivity("square", i.toString()));
  let sum: i64 = 0;
  for (let i = 0; i < n; i++) {
    const square = squares[i].wait();
    if (square.failed) return square;
    sum += I64.parseInt(square.output);
  }
  return succeed(sum.toString());
});

// Waits for an approval, with a timeout.
orchestrator("approval", (input: string): Outcome => {
  const event = waitForExternalEvent("Approval");
  const timer = createTimer(currentTime() + parseFloat(input));
  if (waitAny([event, timer]) == 1) {
    event.cancel();
    return succeed(quote("expired"));
  }
  timer.cancel();
  const approved = event.wait().output.trim() == "true";
  return succeed(quote(approved ? "approved" : "rejected"));
});

// Retries an activity, and reports the last failure if every attempt fails.
orchestrator("stubborn", (input: string): Outcome => {
  const retry = new RetryPolicy(3, 10);
  retry.backoffCoefficient = 2;
  const attempt = callActivity("flaky", input, retry).wait();
  return attempt.failed ? succeed(quote("gave up: " + attempt.message)) : attempt;
});

activity("say_hello", (call: Call): Outcome => succeed(quote("Hello " + unquote(call.input) + "!")));

activity("square", (call: Call): Outcome => {
  const n = I64.parseInt(call.input);
  return succeed((n * n).toString());
});

// Succeeds on attempt `k`.
activity("flaky", (call: Call): Outcome => {
  const k = <u32>parseFloat(call.input);
  if (call.attempt >= k) return succeed(call.attempt.toString());
  return fail(new Failure("NotYet", "attempt " + call.attempt.toString() + " of " + k.toString(), true));
});

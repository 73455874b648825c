// The tour: a chain, a fan-out, a race of an event against a timer, and a retry.
#load ".dacapo/sdk/fsharp/Dacapo.fsx"

open System
open Dacapo

let sayHello = Activity.define "say_hello" (fun (city: string) -> $"Hello {city}!")

let square = Activity.define "square" (fun (n: int) -> n * n)

let flaky =
    Activity.defineWithContext "flaky" (fun ctx (k: int) ->
        if ctx.Attempt < k then
            raise (DurableException("NotYet", $"attempt {ctx.Attempt} of {k}"))
        ctx.Attempt)

let helloSequence =
    Orchestrator.define "hello_sequence" (fun ctx () ->
        orchestrator {
            let! tokyo = ctx.CallActivity(sayHello, "Tokyo")
            let! seattle = ctx.CallActivity(sayHello, "Seattle")
            let! london = ctx.CallActivity(sayHello, "London")
            return [ tokyo; seattle; london ]
        })

let fanOut =
    Orchestrator.define "fan_out" (fun ctx (n: int) ->
        orchestrator {
            let! squares = Task.all [ for i in 1..n -> ctx.CallActivity(square, i) ]
            return Array.sum squares
        })

let approval =
    Orchestrator.define "approval" (fun ctx (milliseconds: int) ->
        orchestrator {
            match! ctx.WaitForExternalEvent<bool>("Approval", timeout = TimeSpan.FromMilliseconds milliseconds) with
            | None -> return "expired"
            | Some true -> return "approved"
            | Some false -> return "rejected"
        })

/// What became of a task: the number of the attempt that succeeded, or why none did.
let stubborn =
    Orchestrator.define "stubborn" (fun ctx (k: int) ->
        orchestrator {
            let retry = RetryPolicy(3, TimeSpan.FromMilliseconds 10, backoffCoefficient = 2.0)
            try
                let! attempt = ctx.CallActivity(flaky, k, retry = retry)
                return box attempt
            with TaskFailed failure ->
                return box $"gave up: {failure.ErrorMessage}"
        })

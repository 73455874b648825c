module App

open System
open Dacapo

/// Does the work. All input and output belongs in activities.
let reserve =
    Activity.define "reserve" (fun (item: string) ->
        if item = "" then
            raise (DurableException("NothingToReserve", "an order names an item", retriable = false))
        $"the reservation of {item}")

/// Defines what happens, in which order. It survives crashes and restarts, and may take days.
let order =
    Orchestrator.define "order" (fun ctx (item: string) ->
        orchestrator {
            let retry = RetryPolicy(5, TimeSpan.FromSeconds 1, backoffCoefficient = 2.0)
            let! reservation = ctx.CallActivity(reserve, item, retry = retry)

            match! ctx.WaitForExternalEvent<bool>("Approval", timeout = TimeSpan.FromDays 3) with
            | None -> return $"{reservation} has expired"
            | Some true -> return $"{reservation} is on its way"
            | Some false -> return $"{reservation} was rejected"
        })

// Starts an order for each request, and answers with the links for managing it.
Trigger.http (
    "orders",
    (fun request ctx ->
        async {
            let! item = request.ReadJson<string>()
            let! instanceId = ctx.Client.StartOrchestration(order, item)
            return ctx.Client.CreateCheckStatusResponse(request, instanceId)
        }),
    methods = [ "POST" ],
    authLevel = AuthLevel.Anonymous
)

module Orders

open System
open Dacapo
open Types

exception OutOfStock of item: string

type Order = { Item: string; Shape: Shape; Limit: decimal option }

let reserve = Activity.define "reserve" (fun (order: Order) -> if order.Item = "unicorn" then raise (OutOfStock order.Item) else OrderId order.Item)

let slow = Activity.defineAsync "slow" (fun (text: string) -> async { return text.ToUpperInvariant() })

let describe =
    Activity.defineAsyncWithContext "describe" (fun ctx () -> async { return [ ctx.Name; ctx.InstanceId; string ctx.Attempt; ctx.IdempotencyKey ] })

let order =
    Orchestrator.define "order" (fun ctx (order: Order) ->
        orchestrator {
            let! id = ctx.CallActivity(reserve, order)
            ctx.SetCustomStatus {| reserved = id |}
            return id
        })

/// What `orchestrator { }` can contain.
let syntax =
    Orchestrator.define "syntax" (fun ctx (count: int) ->
        orchestrator {
            let mutable log = []
            let note text = log <- text :: log
            for i in 1..count do
                let! text = ctx.CallActivity(slow, $"for {i}")
                note text
            let mutable left = count
            while left > 0 do
                do! ctx.CreateTimer(TimeSpan.FromHours 1)
                left <- left - 1
                if left = 0 then note "the last"
            try
                try
                    let! _ = ctx.CallActivity(reserve, { Item = "unicorn"; Shape = Nothing; Limit = None })
                    note "reserved"
                finally
                    note "finally"
            with
            | TaskFailed failure when failure.IsCausedBy "OutOfStock" -> note failure.ErrorType
            | _ -> note "another failure"
            let! one = ctx.CallActivity(slow, "one")
            and! two = ctx.CallSubOrchestrator<int, int>("double", 21)
            note $"{one} {two}"
            match! ctx.CallActivity(slow, "match") with
            | "MATCH" -> note "matched"
            | _ -> ()
            return List.rev log
        })

let double = Orchestrator.define "double" (fun _ (n: int) -> orchestrator { return n * 2 })

/// Flows of which some wait for events, all at once.
let flows =
    Orchestrator.define "flows" (fun ctx () ->
        let flow name (delay: float) =
            orchestrator {
                do! ctx.CreateTimer(TimeSpan.FromMinutes delay)
                let! (data: int) = ctx.WaitForExternalEvent name
                return $"{name} {data}"
            }
        orchestrator {
            let flows = [ flow "A" 2; flow "B" 1 ]
            let! first = Task.any flows
            let! first = first
            let! all = Task.all flows
            let! none = Task.all (List.empty<Task<int>>)
            return {| first = first; all = all; none = none |}
        })

let failing =
    Orchestrator.define "failing" (fun ctx (kind: string) ->
        orchestrator {
            match kind with
            | "exception of F#" -> raise (OutOfStock "lamp")
            | "failwith" -> failwith "broken"
            | "typed" -> raise (DurableException("Declined", "no", retriable = false))
            | "cancel" -> ctx.CallActivity(slow, "").Cancel()
            | _ ->
                let! _ = ctx.CallActivity<string, int>("slow", "text")
                ()
        })

let counter =
    Entity.define "counter" (fun () -> {| Count = 0; Names = ([]: string list) |})
    |> Entity.operation "add" (fun ctx (name: string) ->
        ctx.State <- {| Count = ctx.State.Count + 1; Names = name :: ctx.State.Names |}
        ctx.State.Count)
    |> Entity.operation "reset" (fun ctx () ->
        ctx.SignalEntity(ctx.Id, "add", "again")
        ctx.Delete())

let count =
    Orchestrator.define "count" (fun ctx () ->
        orchestrator {
            let id = counter.Id "k"
            let! (n: int) = ctx.CallEntity(id, "add", "x")
            ctx.SignalEntity(id, "reset")
            return n
        })

let callHttp =
    Orchestrator.define "call_http" (fun ctx (url: string) ->
        orchestrator {
            let! answer = ctx.CallHttp(DurableHttpRequest("POST", url, headers = [ "x", "1" ], content = "body"))
            return answer.StatusCode, answer.Headers.["y"], answer.Content
        })

let eternal =
    Orchestrator.define "eternal" (fun ctx (rounds: int) ->
        orchestrator { if rounds > 0 then ctx.ContinueAsNew(rounds - 1) })

namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

/// The status of an instance. `Input`, `Output` and `CustomStatus` are JSON, which `Json.parse` reads.
[<RequireQualifiedAccess>]
type OrchestrationStatus =
    { Name: string
      InstanceId: string
      /// `Pending`, `Running`, `Suspended`, `Completed`, `Failed`, `Terminated`, `Canceled` or `ContinuedAsNew`.
      RuntimeStatus: string
      CreatedTime: DateTime
      LastUpdatedTime: DateTime
      Input: string
      Output: string
      CustomStatus: string
      /// JSON too, if it was asked for.
      History: string option }

    member this.HasEnded =
        match this.RuntimeStatus with
        | "Completed" | "Failed" | "Terminated" | "Canceled" -> true
        | _ -> false

/// Which instances: all that are not given do not matter.
[<Sealed>]
type InstanceFilter
    (
        ?runtimeStatus: string list,
        ?createdTimeFrom: DateTime,
        ?createdTimeTo: DateTime,
        ?instanceIdPrefix: string,
        ?functionName: string,
        ?version: string,
        ?showInput: bool
    ) =
    member internal _.Properties =
        [
            "runtimeStatus", runtimeStatus |> Option.map (Array.ofList >> box)
            "createdTimeFrom", Option.map Interop.date createdTimeFrom
            "createdTimeTo", Option.map Interop.date createdTimeTo
            "instanceIdPrefix", Option.map box instanceIdPrefix
            "functionName", Option.map box functionName
            "version", Option.map box version
            "showInput", Option.map box showInput
        ]

/// Some of a list, and where it goes on.
[<RequireQualifiedAccess>]
type Page<'T> =
    { Items: 'T list
      ContinuationToken: string option }

/// An entity in a list. `State` is JSON, if it was asked for.
[<RequireQualifiedAccess>]
type EntityStatus =
    { Id: EntityId
      LastOperationTime: DateTime option
      State: string option }

/// The durable client of the app's own task hub, in activities and triggers.
[<Sealed>]
type DurableClient internal (client: obj) =
    let time (text: obj) = Json.of'<DateTime>().Decode("a time of the host", text)

    let status (status: obj) : OrchestrationStatus =
        { OrchestrationStatus.Name = status?name
          InstanceId = status?instanceId
          RuntimeStatus = status?runtimeStatus
          CreatedTime = time status?createdTime
          LastUpdatedTime = time status?lastUpdatedTime
          Input = Js.textOrNull status?input
          Output = Js.textOrNull status?output
          CustomStatus = Js.textOrNull status?customStatus
          History = Interop.present status?historyEvents |> Option.map Js.textOrNull }

    let wait (promise: obj) (convert: obj -> 'T) : Async<'T> =
        async {
            let! value = Async.AwaitPromise(unbox<JS.Promise<obj>> promise)
            return convert value
        }

    let optional (convert: obj -> 'T) (value: obj) : 'T option = Interop.present value |> Option.map convert

    /// The client of the SDK for JavaScript.
    member internal _.Inner = client

    /// For the other overloads.
    member _.StartOrchestrationOf(name: string, input: obj, instanceId, version, startAt) : Async<string> =
        let options =
            Interop.options [
                "instanceId", Option.map box (instanceId: string option)
                "version", Option.map box (version: string option)
                "startAt", Option.map Interop.date startAt
            ]
        wait (client?startOrchestration (name, input, options)) string

    /// Starts an orchestration, and returns its id once the start is durable. Without an instance id the host derives one from the
    /// call, so that a call that is repeated starts nothing twice. With `startAt` it does not begin before then.
    member this.StartOrchestration
        (orchestrator: Orchestrator<'Input, 'Output>, input: 'Input, ?instanceId: string, ?version: string, ?startAt: DateTime)
        : Async<string> =
        this.StartOrchestrationOf(orchestrator.Name, orchestrator.Input.Encode input, instanceId, version, startAt)

    /// The same by its name.
    member inline this.StartOrchestration<'Input>
        (name: string, input: 'Input, ?instanceId: string, ?version: string, ?startAt: DateTime) : Async<string> =
        this.StartOrchestrationOf(name, Json.of'<'Input>().Encode input, instanceId, version, startAt)

    /// The status of an instance, if there is one.
    member _.GetStatus(instanceId: string, ?showInput: bool, ?showHistory: bool, ?showHistoryOutput: bool) : Async<OrchestrationStatus option> =
        let options =
            Interop.options [
                "showInput", Option.map box showInput
                "showHistory", Option.map box showHistory
                "showHistoryOutput", Option.map box showHistoryOutput
            ]
        wait (client?getStatus (instanceId, options)) (optional status)

    /// A page of instances: at most `top`, from where the page before ended.
    member _.ListInstances(?filter: InstanceFilter, ?top: int, ?continuationToken: string) : Async<Page<OrchestrationStatus>> =
        let filter = defaultArg filter (InstanceFilter())
        let paging = [ "top", Option.map box top; "continuationToken", Option.map box continuationToken ]
        wait (client?listInstances (Interop.options (filter.Properties @ paging))) (fun page ->
            { Page.Items = page?instances |> Interop.spread |> Array.map status |> List.ofArray
              ContinuationToken = Interop.optionalText page?continuationToken })

    /// For `RaiseEvent`.
    member _.RaiseEventOf(instanceId: string, name: string, data: obj) : Async<unit> =
        wait (client?raiseEvent (instanceId, name, data)) ignore

    /// Raises an external event for an instance.
    member inline this.RaiseEvent<'T>(instanceId: string, name: string, data: 'T) : Async<unit> =
        this.RaiseEventOf(instanceId, name, Json.of'<'T>().Encode data)

    /// Ends an instance. Its sub-orchestrations go on.
    member _.Terminate(instanceId: string, reason: string) : Async<unit> = wait (client?terminate (instanceId, reason)) ignore

    /// Suspends an instance: its messages wait until it is resumed.
    member _.Suspend(instanceId: string, reason: string) : Async<unit> = wait (client?suspend (instanceId, reason)) ignore
    member _.Resume(instanceId: string, reason: string) : Async<unit> = wait (client?resume (instanceId, reason)) ignore

    /// Brings a failed instance back to the state before its failure.
    member _.Rewind(instanceId: string, reason: string) : Async<unit> = wait (client?rewind (instanceId, reason)) ignore

    /// Starts an orchestration anew with its recorded input, and returns the id of the new instance.
    member _.Restart(instanceId: string, ?newInstanceId: string) : Async<string> =
        wait (emitJsExpr (client, instanceId, newInstanceId) "$0.restart($1, $2 ?? undefined)") string

    /// Removes an instance that has ended, or an entity. Returns whether there was one.
    member _.Purge(instanceId: string) : Async<bool> = wait (client?purge instanceId) unbox

    /// Removes all instances that match and have ended, and returns how many. The filter needs `createdTimeFrom`.
    member _.PurgeInstances(filter: InstanceFilter) : Async<int> =
        wait (client?purgeInstances (Interop.options filter.Properties)) unbox

    /// Waits until an instance has ended, at most so long, and returns its status then, if there is such an instance.
    member _.WaitForCompletion(instanceId: string, timeout: TimeSpan) : Async<OrchestrationStatus option> =
        wait (client?waitForCompletion (instanceId, Interop.milliseconds timeout)) (optional status)

    /// For `SignalEntity`.
    member _.SignalEntityOf(id: EntityId, operation: string, input: obj, deliverAt: DateTime option) : Async<unit> =
        let options = Interop.options [ "at", Option.map Interop.date deliverAt ]
        wait (client?signalEntity (EntityIds.toJs id, operation, input, options)) ignore

    /// Sends a one-way operation to an entity, which is delivered at once, or not before `deliverAt`.
    member inline this.SignalEntity<'Input>(id: EntityId, operation: string, input: 'Input, ?deliverAt: DateTime) : Async<unit> =
        this.SignalEntityOf(id, operation, Json.of'<'Input>().Encode input, deliverAt)

    /// For `Enqueue`.
    member _.EnqueueOf(queue: string, messages: obj[], deliverAt: DateTime option) : Async<unit> =
        let options = Interop.options [ "at", Option.map Interop.date deliverAt ]
        wait (client?enqueue (queue, messages, options)) ignore

    /// Puts messages into a queue, texts as they are and other values as JSON. They are delivered at once, or not before `deliverAt`.
    /// If the call of the activity or trigger is repeated, it puts none of them again.
    member inline this.Enqueue<'T>(queue: string, messages: 'T seq, ?deliverAt: DateTime) : Async<unit> =
        let json = Json.of'<'T> ()
        this.EnqueueOf(queue, messages |> Seq.map json.Encode |> Seq.toArray, deliverAt)

    /// For `ReadEntity`.
    member _.ReadEntityOf(id: EntityId, state: Json<'State>) : Async<'State option> =
        wait (client?readEntity (EntityIds.toJs id)) (optional (fun json -> state.Decode($"the state of @{id.Name}@{id.Key}", json)))

    /// The state of an entity, if there is one.
    member inline this.ReadEntity<'State>(id: EntityId) : Async<'State option> = this.ReadEntityOf(id, Json.of'<'State> ())

    /// A page of entities.
    member _.ListEntities
        (
            ?entityName: string,
            ?fetchState: bool,
            ?top: int,
            ?continuationToken: string,
            ?lastOperationTimeFrom: DateTime,
            ?lastOperationTimeTo: DateTime
        ) : Async<Page<EntityStatus>> =
        let filter =
            Interop.options [
                "entityName", Option.map box entityName
                "lastOperationTimeFrom", Option.map Interop.date lastOperationTimeFrom
                "lastOperationTimeTo", Option.map Interop.date lastOperationTimeTo
                "fetchState", Option.map box fetchState
                "top", Option.map box top
                "continuationToken", Option.map box continuationToken
            ]
        wait (client?listEntities filter) (fun page ->
            let entity (found: obj) =
                { EntityStatus.Id = EntityIds.ofJs found?entityId
                  EntityStatus.LastOperationTime = optional time found?lastOperationTime
                  EntityStatus.State = Interop.present found?state |> Option.map Js.textOrNull }
            { Page.Items = page?entities |> Interop.spread |> Array.map entity |> List.ofArray
              ContinuationToken = Interop.optionalText page?continuationToken })

    /// The links for managing an instance over HTTP, by their names, such as `statusQueryGetUri`.
    member _.Links(instanceId: string) : Map<string, string> =
        Interop.entries (client?links instanceId) |> Array.map (fun (name, link) -> name, string link) |> Map.ofArray

    /// The response 202 of a trigger that has started an instance, with the links for managing it.
    member _.CreateCheckStatusResponse(request: HttpRequest, instanceId: string) : HttpResponse =
        HttpResponse(client?checkStatusResponse (request.Inner, instanceId))

    /// Waits for the output of an instance, at most so long (10 s by default), and responds with it, or else as
    /// `CreateCheckStatusResponse`.
    member _.WaitForCompletionOrCreateCheckStatusResponse(request: HttpRequest, instanceId: string, ?timeout: TimeSpan) : Async<HttpResponse> =
        let options = Interop.options [ "timeout", Option.map Interop.milliseconds timeout ]
        wait (client?outputOrCheckStatusResponse (request.Inner, instanceId, options)) HttpResponse

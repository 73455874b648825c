namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

/// The locks of a critical section, which ends when they are released: `use! locks = ctx.LockEntities [...]`.
[<Sealed>]
type EntityLocks internal (locks: obj) =
    member _.Release() : unit = locks?release ()

    interface IDisposable with
        member this.Dispose() = this.Release()

/// An activity, by its name and its types. `Activity.define` makes one; `Activity.named` is for one of another app.
[<Sealed>]
type Activity<'Input, 'Output>(name: string, input: Json<'Input>, output: Json<'Output>) =
    member _.Name = name
    member internal _.Input = input
    member internal _.Output = output

/// An orchestrator, by its name and its types. `Orchestrator.define` makes one; `Orchestrator.named` is for one of another app.
[<Sealed>]
type Orchestrator<'Input, 'Output>(name: string, input: Json<'Input>, output: Json<'Output>) =
    member _.Name = name
    member internal _.Input = input
    member internal _.Output = output

/// The context of an orchestrator. What it calls is scheduled at once; `let!` waits for the result.
[<Sealed>]
type Context internal (context: obj) =
    let optionsOfCall (retry: RetryPolicy option) = Interop.options [ "retry", retry |> Option.map (fun retry -> retry.Options) ]

    let optionsOfChild instanceId version (retry: RetryPolicy option) =
        Interop.options [
            "instanceId", Option.map box instanceId
            "version", Option.map box version
            "retry", retry |> Option.map (fun retry -> retry.Options)
        ]

    let task (handle: obj) (decode: obj -> 'T) : Task<'T> = Task<'T>(handle, decode, context)

    /// The id of this instance.
    member _.InstanceId: string = context?instanceId
    /// The id of this execution. Continue-as-new begins a new one.
    member _.ExecutionId: string = context?executionId
    /// The version label that the instance was started with, or an empty text.
    member _.Version: string = context?version
    /// Whether the code is being replayed. For diagnostics only: a decision that depends on it diverges.
    member _.IsReplaying: bool = context?isReplaying
    /// The time of the turn. It does not advance between waits.
    member _.CurrentUtcDateTime: DateTime = DateTimeOffset.FromUnixTimeMilliseconds(int64 (float (context?now?getTime ()))).UtcDateTime
    /// A new unique id, the same on replay.
    member _.NewGuid() : Guid = Guid.Parse(string (context?newGuid ()))
    member _.Log = Logger(context?log)

    /// The parent, if this is a sub-orchestration.
    member _.Parent: ParentInstance option =
        Interop.present context?parent |> Option.map (fun parent -> { ParentInstance.Name = parent?name; InstanceId = parent?instanceId })

    // Calls.

    /// For the other overloads.
    member _.CallActivityOf(name: string, input: obj, output: Json<'Output>, retry: RetryPolicy option) : Task<'Output> =
        let decode json = output.Decode($"the output of the activity '{name}'", json)
        task (context?callActivity (name, input, optionsOfCall retry)) decode

    /// Schedules an activity.
    member this.CallActivity(activity: Activity<'Input, 'Output>, input: 'Input, ?retry: RetryPolicy) : Task<'Output> =
        this.CallActivityOf(activity.Name, activity.Input.Encode input, activity.Output, retry)

    /// Schedules an activity by its name: `ctx.CallActivity<string, int>("count_words", text)`.
    member inline this.CallActivity<'Input, 'Output>(name: string, input: 'Input, ?retry: RetryPolicy) : Task<'Output> =
        this.CallActivityOf(name, Json.of'<'Input>().Encode input, Json.of'<'Output> (), retry)

    /// For the other overloads.
    member _.CallSubOrchestratorOf(name: string, input: obj, output: Json<'Output>, instanceId, version, retry) : Task<'Output> =
        let decode json = output.Decode($"the output of the orchestrator '{name}'", json)
        task (context?callSubOrchestrator (name, input, optionsOfChild instanceId version retry)) decode

    /// Schedules a child orchestration. Without an instance id the host derives one; without a version it runs on the code of this one.
    member this.CallSubOrchestrator
        (
            orchestrator: Orchestrator<'Input, 'Output>,
            input: 'Input,
            ?instanceId: string,
            ?version: string,
            ?retry: RetryPolicy
        ) : Task<'Output> =
        this.CallSubOrchestratorOf(orchestrator.Name, orchestrator.Input.Encode input, orchestrator.Output, instanceId, version, retry)

    /// The same by its name.
    member inline this.CallSubOrchestrator<'Input, 'Output>
        (name: string, input: 'Input, ?instanceId: string, ?version: string, ?retry: RetryPolicy) : Task<'Output> =
        this.CallSubOrchestratorOf(name, Json.of'<'Input>().Encode input, Json.of'<'Output> (), instanceId, version, retry)

    /// Sends a request under the hub's outbound policy and waits durably for the response; a 202 is polled.
    member _.CallHttp(request: DurableHttpRequest) : Task<DurableHttpResponse> =
        task (context?callHttp request.Options) (fun answer ->
            { StatusCode = answer?statusCode
              Headers = Interop.entries answer?headers |> Array.map (fun (name, value) -> name, string value) |> Map.ofArray
              Content = answer?content })

    // Waits.

    /// A durable timer, which fires at a point in time, however far away.
    member _.CreateTimer(fireAt: DateTime) : Task<unit> = task (context?createTimer (Interop.date fireAt)) ignore

    /// A durable timer, which fires after a duration, however long.
    member _.CreateTimer(delay: TimeSpan) : Task<unit> = task (context?sleep (Interop.milliseconds delay)) ignore

    /// For the other overloads.
    member _.WaitForExternalEventOf(name: string, data: Json<'T>) : Task<'T> =
        task (context?waitForExternalEvent name) (fun json -> data.Decode($"the data of the event '{name}'", json))

    /// For the other overloads.
    member _.WaitForExternalEventOf(name: string, timeout: TimeSpan, data: Json<'T>) : Task<'T option> =
        let decode (json: obj) =
            if Js.isUndefined json then None else Some(data.Decode($"the data of the event '{name}'", json))
        let handle: obj = context?waitForExternalEvent (name, createObj [ "timeout", Interop.milliseconds timeout ])
        Task.ofFlow (Flow.bind handle (decode >> box))

    /// Waits for the next unread event of a name (compared ignoring case).
    member inline this.WaitForExternalEvent<'T>(name: string) : Task<'T> = this.WaitForExternalEventOf(name, Json.of'<'T> ())

    /// The same at most so long, or else `None`; a later event is kept for the next wait.
    member inline this.WaitForExternalEvent<'T>(name: string, timeout: TimeSpan) : Task<'T option> =
        this.WaitForExternalEventOf(name, timeout, Json.of'<'T> ())

    // Entities.

    /// For the other overloads.
    member _.CallEntityOf(id: EntityId, operation: string, input: obj, output: Json<'Output>) : Task<'Output> =
        let decode json = output.Decode($"the output of '{operation}' of @{id.Name}@{id.Key}", json)
        task (context?callEntity (EntityIds.toJs id, operation, input)) decode

    /// Calls an operation of an entity, which is created if it does not exist.
    member inline this.CallEntity<'Input, 'Output>(id: EntityId, operation: string, input: 'Input) : Task<'Output> =
        this.CallEntityOf(id, operation, Json.of'<'Input>().Encode input, Json.of'<'Output> ())

    /// The same without an input.
    member inline this.CallEntity<'Output>(id: EntityId, operation: string) : Task<'Output> =
        this.CallEntityOf(id, operation, null, Json.of'<'Output> ())

    /// For the other overloads.
    member _.SignalEntityOf(id: EntityId, operation: string, input: obj, deliverAt: DateTime option) : unit =
        context?signalEntity (EntityIds.toJs id, operation, input, Interop.options [ "at", Option.map Interop.date deliverAt ])

    /// Sends a one-way operation to an entity, which is delivered at once, or not before `deliverAt`.
    member inline this.SignalEntity<'Input>(id: EntityId, operation: string, input: 'Input, ?deliverAt: DateTime) : unit =
        this.SignalEntityOf(id, operation, Json.of'<'Input>().Encode input, deliverAt)

    /// The same without an input.
    member this.SignalEntity(id: EntityId, operation: string) : unit = this.SignalEntityOf(id, operation, null, None)

    /// Locks entities. The critical section ends when the locks are released, or with the orchestration.
    member _.LockEntities(ids: EntityId list) : Task<EntityLocks> =
        let ids = ids |> List.map EntityIds.toJs |> Array.ofList
        task (emitJsExpr (context, ids) "$0.lock(...$1)") (fun locks -> new EntityLocks(locks))

    /// Whether this is in a critical section.
    member _.IsInCriticalSection: bool = context?isLocked

    // Other instances, and this one.

    /// For the other overloads.
    member _.StartOrchestrationOf(name: string, input: obj, instanceId: string option) : string =
        context?startOrchestration (name, input, Interop.options [ "instanceId", Option.map box instanceId ])

    /// Starts an orchestration that runs on its own, and returns its id.
    member this.StartOrchestration(orchestrator: Orchestrator<'Input, 'Output>, input: 'Input, ?instanceId: string) : string =
        this.StartOrchestrationOf(orchestrator.Name, orchestrator.Input.Encode input, instanceId)

    /// The same by its name.
    member inline this.StartOrchestration<'Input>(name: string, input: 'Input, ?instanceId: string) : string =
        this.StartOrchestrationOf(name, Json.of'<'Input>().Encode input, instanceId)

    /// For `SendEvent`.
    member _.SendEventOf(instanceId: string, name: string, data: obj) : unit = context?sendEvent (instanceId, name, data)

    /// Raises an external event for another instance.
    member inline this.SendEvent<'T>(instanceId: string, name: string, data: 'T) : unit =
        this.SendEventOf(instanceId, name, Json.of'<'T>().Encode data)

    /// For `ContinueAsNew`.
    member _.ContinueAsNewOf(input: obj) : unit = context?continueAsNew input

    /// Restarts the orchestration with a new input and an empty history, once it returns. Its output is ignored then.
    member inline this.ContinueAsNew<'Input>(input: 'Input) : unit = this.ContinueAsNewOf(Json.of'<'Input>().Encode input)

    /// For `SetCustomStatus`.
    member _.SetCustomStatusOf(status: obj) : unit = context?setCustomStatus status

    /// Sets the custom status, which status queries return.
    member inline this.SetCustomStatus<'T>(status: 'T) : unit = this.SetCustomStatusOf(Json.of'<'T>().Encode status)

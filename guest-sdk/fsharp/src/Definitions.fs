namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

module internal Sdk =
    [<Import("orchestrator", "dacapo-sdk")>]
    let orchestrator (_name: string, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("activity", "dacapo-sdk")>]
    let activity (_name: string, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("entity", "dacapo-sdk")>]
    let entity (_name: string, _definition: obj) : unit = jsNative

/// The call of an activity.
[<Sealed>]
type ActivityContext internal (context: obj) =
    member _.Name: string = context?name
    /// The id of the instance that has called it.
    member _.InstanceId: string = context?instanceId
    /// 1 for the first attempt under the caller's retry policy, then 2, and so on.
    member _.Attempt: int = context?attempt
    /// The same when the call is repeated after a crash, so that other systems can detect a repeated request.
    member _.IdempotencyKey: string = context?idempotencyKey
    member _.Log = Logger(context?log)
    member _.Client = DurableClient(context?client)

/// Activities do the real work, and run at least once.
module Activity =
    /// For the other functions. `run` returns JSON, or a promise of it.
    let register (name: string) (input: Json<'Input>) (output: Json<'Output>) (run: ActivityContext -> 'Input -> obj) =
        let handler json context =
            Flow.guarded (fun () -> run (ActivityContext context) (input.Decode($"the input of the activity '{name}'", json)))
        Sdk.activity (name, Func<_, _, _>(handler))
        Activity(name, input, output)

    /// For `defineWithContext`.
    let registerSync name input (output: Json<'Output>) (run: ActivityContext -> 'Input -> 'Output) =
        register name input output (fun context value -> output.Encode(run context value))

    /// For `defineAsyncWithContext`.
    let registerAsync name input (output: Json<'Output>) (run: ActivityContext -> 'Input -> Async<'Output>) =
        register name input output (fun context value ->
            Flow.bind (Async.StartAsPromise(run context value)) (output.Encode))

    /// Defines an activity: a function.
    let inline define (name: string) (run: 'Input -> 'Output) : Activity<'Input, 'Output> =
        registerSync name (Json.of'<'Input> ()) (Json.of'<'Output> ()) (fun _ input -> run input)

    /// Defines an activity that waits, such as for an answer over HTTP: `async { }`.
    let inline defineAsync (name: string) (run: 'Input -> Async<'Output>) : Activity<'Input, 'Output> =
        registerAsync name (Json.of'<'Input> ()) (Json.of'<'Output> ()) (fun _ input -> run input)

    /// Defines an activity that looks at its call.
    let inline defineWithContext (name: string) (run: ActivityContext -> 'Input -> 'Output) : Activity<'Input, 'Output> =
        registerSync name (Json.of'<'Input> ()) (Json.of'<'Output> ()) run

    /// Defines an activity that looks at its call, or uses the durable client, and waits.
    let inline defineAsyncWithContext (name: string) (run: ActivityContext -> 'Input -> Async<'Output>) : Activity<'Input, 'Output> =
        registerAsync name (Json.of'<'Input> ()) (Json.of'<'Output> ()) run

    /// An activity of another app of the task hub.
    let inline named<'Input, 'Output> (name: string) : Activity<'Input, 'Output> =
        Activity<'Input, 'Output>(name, Json.of'<'Input> (), Json.of'<'Output> ())

/// Orchestrators say what happens, in which order. They are deterministic, and survive crashes.
module Orchestrator =
    /// For `define`.
    let register (name: string) (input: Json<'Input>) (output: Json<'Output>) (run: Context -> 'Input -> Task<'Output>) =
        let handler context json =
            Flow.guarded (fun () ->
                let task = run (Context context) (input.Decode($"the input of the orchestrator '{name}'", json))
                Flow.bind task.Promise output.Encode)
        Sdk.orchestrator (name, Func<_, _, _>(handler))
        Orchestrator(name, input, output)

    /// Defines an orchestrator: `fun ctx input -> orchestrator { ... }`.
    let inline define (name: string) (run: Context -> 'Input -> Task<'Output>) : Orchestrator<'Input, 'Output> =
        register name (Json.of'<'Input> ()) (Json.of'<'Output> ()) run

    /// An orchestrator of another app of the task hub.
    let inline named<'Input, 'Output> (name: string) : Orchestrator<'Input, 'Output> =
        Orchestrator<'Input, 'Output>(name, Json.of'<'Input> (), Json.of'<'Output> ())

/// One operation on an entity.
[<Sealed>]
type EntityContext<'State> internal (context: obj, json: Json<'State>) =
    let mutable state: 'State option = None

    member _.Id: EntityId = EntityIds.ofJs context?id
    member _.Operation: string = context?operation
    /// Whether there was no state before.
    member _.IsNew: bool = context?isNew
    member _.Log = Logger(context?log)

    /// The state. Changes are kept if the operation succeeds.
    member this.State
        with get (): 'State =
            match state with
            | Some state -> state
            | None ->
                let read = json.Decode($"the state of @{this.Id.Name}@{this.Id.Key}", context?state)
                state <- Some read
                read
        and set (value: 'State) = state <- Some value

    /// Removes the state at the end of the operation.
    member _.Delete() : unit =
        state <- None
        context?delete ()

    /// For `SignalEntity`.
    member _.SignalEntityOf(id: EntityId, operation: string, input: obj) : unit =
        context?signalEntity (EntityIds.toJs id, operation, input)

    /// Sends a one-way operation to another entity.
    member inline this.SignalEntity<'Input>(id: EntityId, operation: string, input: 'Input) : unit =
        this.SignalEntityOf(id, operation, Json.of'<'Input>().Encode input)

    /// Keeps a state that may have been changed in place, too.
    member internal _.Close() : unit =
        match state with
        | Some state -> context?state <- json.Encode state
        | None -> ()

/// An entity: durable state with operations that run one after another.
[<Sealed>]
type Entity<'State> internal (name: string, state: Json<'State>, operations: obj) =
    member _.Name = name
    member internal _.State = state
    member internal _.Operations = operations
    /// The id of the entity with a key.
    member _.Id(key: string) : EntityId = { EntityId.Name = name; Key = key }

module Entity =
    /// For `define`.
    let register (name: string) (state: Json<'State>) (initialState: unit -> 'State) : Entity<'State> =
        let operations = createObj []
        Sdk.entity (name, createObj [ "initialState", box (fun () -> state.Encode(initialState ())); "operations", operations ])
        Entity(name, state, operations)

    /// For `operation`.
    let registerOperation (name: string) (input: Json<'Input>) (output: Json<'Output>) (run: EntityContext<'State> -> 'Input -> 'Output) (entity: Entity<'State>) =
        let handler (context: obj) (json: obj) =
            Flow.guarded (fun () ->
                let context = EntityContext(context, entity.State)
                let result = run context (input.Decode($"the input of '{name}' of the entity '{entity.Name}'", json))
                context.Close()
                output.Encode result)
        entity.Operations?(name) <- Func<_, _, _>(handler)
        entity

    /// Defines an entity by the state of a new one; `operation` adds what it can do.
    let inline define (name: string) (initialState: unit -> 'State) : Entity<'State> =
        register name (Json.of'<'State> ()) initialState

    /// Adds an operation, which reads and changes the state of its context.
    let inline operation (name: string) (run: EntityContext<'State> -> 'Input -> 'Output) (entity: Entity<'State>) : Entity<'State> =
        registerOperation name (Json.of'<'Input> ()) (Json.of'<'Output> ()) run entity

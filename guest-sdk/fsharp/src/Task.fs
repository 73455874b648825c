namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

module internal Flow =
    [<Import("run", "./flow.js")>]
    let run (_body: unit -> obj) : obj = jsNative

    [<Import("bind", "./flow.js")>]
    let bind (_task: obj) (_next: 'T -> obj) : obj = jsNative

    [<Import("repeat", "./flow.js")>]
    let repeat (_isTrue: unit -> bool) (_body: unit -> obj) : obj = jsNative

    [<Import("forEach", "./flow.js")>]
    let forEach (_items: 'T seq) (_body: 'T -> obj) : obj = jsNative

    [<Import("recover", "./flow.js")>]
    let recover (_body: unit -> obj) (_handle: exn -> obj) : obj = jsNative

    [<Import("finish", "./flow.js")>]
    let finish (_body: unit -> obj) (_compensate: unit -> unit) : obj = jsNative

    [<Import("first", "./flow.js")>]
    let first (_tasks: obj[]) : obj = jsNative

    [<Import("guarded", "./flow.js")>]
    let guarded (_body: unit -> obj) : obj = jsNative

    [<Emit("Promise.all($0)")>]
    let all (_promises: obj[]) : obj = jsNative

/// Something that an orchestrator waits for, with `let!` or `do!`. It has begun already.
[<Sealed; AllowNullLiteral>]
type Task<'T> internal (handle: obj, decode: obj -> 'T, context: obj) =
    /// A task of the SDK for JavaScript, a promise, or a value.
    member internal _.Handle = handle
    member internal _.Decode = decode
    /// The context of JavaScript that has scheduled it, or null if it is a flow of `orchestrator { }`.
    member internal _.Context = context

    /// The same as a promise of the value.
    member internal _.Promise: obj =
        if isNull context then handle else Flow.bind handle (decode >> box)

    /// Whether it has ended: with a value, with a failure, or canceled. Always false for an `orchestrator { }`.
    member _.IsCompleted: bool = not (isNull context) && (handle?isCompleted || handle?isFaulted)

    /// Whether it has failed or was canceled.
    member _.IsFaulted: bool = not (isNull context) && handle?isFaulted

    /// Cancels a timer, or a wait for an event: a later event is kept for the next wait.
    member _.Cancel() : unit =
        if isNull context || isNull handle?cancel then
            raise (DurableException("InvalidOperation", "only a timer and a wait for an external event can be canceled", retriable = false))
        if not (handle?isCompleted || handle?isFaulted) then handle?cancel ()

module Task =
    let internal ofFlow (promise: obj) : Task<'T> = Task<'T>(promise, unbox, null)

    /// A task that has ended with a value.
    let result (value: 'T) : Task<'T> = ofFlow (box value)

    /// The task with another value.
    let map (convert: 'T -> 'U) (task: Task<'T>) : Task<'U> =
        if isNull task.Context then ofFlow (Flow.bind task.Handle (unbox >> convert >> box))
        else Task<'U>(task.Handle, task.Decode >> convert, task.Context)

    /// The task without its value.
    let ignore (task: Task<'T>) : Task<unit> = map ignore task

    let private contextOf (tasks: Task<'T>[]) =
        if tasks.Length > 0 && tasks |> Array.forall (fun task -> not (isNull task.Context)) then tasks.[0].Context else null

    /// Waits for all tasks. The value is the array of their values, in their order; fails with the first failure, when it occurs.
    let all (tasks: Task<'T> seq) : Task<'T[]> =
        let tasks = Seq.toArray tasks
        match contextOf tasks with
        | null -> tasks |> Array.map (fun task -> task.Promise) |> Flow.all |> ofFlow
        | context ->
            let decode (results: obj) = unbox<obj[]> results |> Array.mapi (fun index result -> tasks.[index].Decode result)
            Task(context?all (tasks |> Array.map (fun task -> task.Handle)), decode, context)

    /// Waits for the task that ends first. The value is that task: bind it for its value, or its failure.
    let any (tasks: Task<'T> seq) : Task<Task<'T>> =
        let tasks = Seq.toArray tasks
        if tasks.Length = 0 then
            raise (DurableException("InvalidArgument", "Task.any needs at least one task", retriable = false))
        let winner (first: obj) = tasks.[first?index]
        match contextOf tasks with
        | null -> tasks |> Array.map (fun task -> task.Handle) |> Flow.first |> fun first -> ofFlow (Flow.bind first (winner >> box))
        | context -> Task(context?any (tasks |> Array.map (fun task -> task.Handle)), winner, context)

    /// Waits for both tasks, which may be of different types.
    let both (one: Task<'T>) (other: Task<'U>) : Task<'T * 'U> =
        all [ map box one; map box other ] |> map (fun values -> unbox<'T> values.[0], unbox<'U> values.[1])

/// `orchestrator { }`: `let!` and `do!` wait for a task, `and!` for several at once. It begins at once, and is a task itself.
[<Sealed>]
type OrchestratorBuilder() =
    member _.Return(value: 'T) : Task<'T> = Task.result value
    member _.ReturnFrom(task: Task<'T>) : Task<'T> = task
    member _.Zero() : Task<unit> = Task.result ()
    member _.Delay(body: unit -> Task<'T>) : unit -> Task<'T> = body
    member _.Run(body: unit -> Task<'T>) : Task<'T> = Task.ofFlow (Flow.run (fun () -> body().Promise))

    member _.Bind(task: Task<'T>, next: 'T -> Task<'U>) : Task<'U> =
        Task.ofFlow (Flow.bind task.Handle (fun value -> (next (task.Decode value)).Promise))

    member _.BindReturn(task: Task<'T>, next: 'T -> 'U) : Task<'U> = Task.map next task
    member _.MergeSources(one: Task<'T>, other: Task<'U>) : Task<'T * 'U> = Task.both one other

    member _.Combine(task: Task<unit>, next: unit -> Task<'T>) : Task<'T> =
        Task.ofFlow (Flow.bind task.Promise (fun () -> next().Promise))

    member _.While(isTrue: unit -> bool, body: unit -> Task<unit>) : Task<unit> =
        Task.ofFlow (Flow.repeat isTrue (fun () -> body().Promise))

    member _.For(items: 'T seq, body: 'T -> Task<unit>) : Task<unit> =
        Task.ofFlow (Flow.forEach items (fun item -> (body item).Promise))

    member _.TryWith(body: unit -> Task<'T>, handle: exn -> Task<'T>) : Task<'T> =
        Task.ofFlow (Flow.recover (fun () -> body().Promise) (fun error -> (handle error).Promise))

    member _.TryFinally(body: unit -> Task<'T>, compensate: unit -> unit) : Task<'T> =
        Task.ofFlow (Flow.finish (fun () -> body().Promise) compensate)

    member this.Using(resource: 'T, body: 'T -> Task<'U>) : Task<'U> when 'T :> IDisposable =
        this.TryFinally((fun () -> body resource), (fun () -> resource.Dispose()))

[<AutoOpen>]
module Builders =
    let orchestrator = OrchestratorBuilder()

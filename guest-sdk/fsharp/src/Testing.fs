/// Tests of orchestrators and entities without a host. Waits take no time.
///
///     test "an approved order is sent" (fun () ->
///         async {
///             let! run =
///                 OrchestratorTest(order, "a lamp")
///                     .Activity(reserve, fun item -> $"reservation of {item}")
///                     .Event("Approval", true, after = TimeSpan.FromHours 2)
///                     .Run()
///             run.Gives "reservation of a lamp is on its way"
///         })
module Dacapo.Testing

open System
open System.Collections.Generic
open Fable.Core
open Fable.Core.JsInterop

[<Import("test", "node:test")>]
let private nodeTest (_name: string, _body: unit -> JS.Promise<unit>) : unit = jsNative

[<Import("testOrchestrator", "dacapo-sdk/testing")>]
let private testOrchestrator (_name: string, _input: obj, _options: obj) : obj = jsNative

[<Import("testEntity", "dacapo-sdk/testing")>]
let private testEntity (_name: string, _operation: string, _input: obj, _options: obj) : JS.Promise<obj> = jsNative

/// A test, which fails if its body throws.
let test (name: string) (body: unit -> Async<unit>) : unit =
    nodeTest (name, (fun () -> Async.StartAsPromise(body ())))

/// Throws unless the values are equal.
let equal (expected: 'T) (actual: 'T) : unit =
    if actual <> expected then
        failwith $"expected %A{expected}, got %A{actual}"

/// What an orchestrator did in a test.
[<RequireQualifiedAccess>]
type OrchestratorRun<'Output> =
    { Output: Result<'Output, FailureDetails>
      /// What it scheduled, one JSON text each, such as `{"type":"callActivity","name":"reserve","input":"a lamp"}`.
      Actions: string list
      /// JSON; `null` if there is none.
      CustomStatus: string
      /// The input of its next execution as JSON, if it has continued as new.
      ContinuedAsNew: string option
      /// How long it took, in the orchestrator's time.
      Elapsed: TimeSpan }

    /// Throws unless the output is this.
    member this.Gives(expected: 'Output) : unit =
        match this.Output with
        | Ok output when unbox<IComparable> output = unbox<IComparable> expected -> ()
        | Ok output -> failwith $"expected %A{expected}, got %A{output}"
        | Error failure -> failwith $"expected %A{expected}, but it failed: {failure.ErrorType}: {failure.ErrorMessage}"

    /// Throws unless it failed with this type.
    member this.FailsWith(errorType: string) : unit =
        match this.Output with
        | Error failure when failure.ErrorType = errorType -> ()
        | Error failure -> failwith $"expected {errorType}, but it failed with {failure.ErrorType}: {failure.ErrorMessage}"
        | Ok output -> failwith $"expected {errorType}, got %A{output}"

/// A run of an orchestrator. Its calls get the results that the test provides.
[<Sealed>]
type OrchestratorTest<'Input, 'Output>
    (orchestrator: Orchestrator<'Input, 'Output>, input: 'Input, ?instanceId: string, ?now: DateTime, ?version: string) =
    let script =
        let options =
            Interop.options [
                "instanceId", Option.map box instanceId
                "now", Option.map Interop.date now
                "version", Option.map box version
            ]
        testOrchestrator (orchestrator.Name, orchestrator.Input.Encode input, options)

    let operations = Dictionary<string, obj -> obj>()

    let takes (duration: TimeSpan option) = Interop.options [ "takes", Option.map Interop.milliseconds duration ]

    /// What F# throws may be no `Error`.
    let answered (answer: unit -> obj) : obj = Flow.guarded answer

    let activity (activity: Activity<'I, 'O>) (answer: int -> 'I -> 'O) duration =
        let answer (json: obj) (call: obj) =
            answered (fun () -> activity.Output.Encode(answer call?attempt (activity.Input.Decode($"the input of '{activity.Name}'", json))))
        script?activity (activity.Name, Func<_, _, _>(answer), takes duration)

    /// The result of an activity, of its input.
    member this.Activity(called: Activity<'I, 'O>, answer: 'I -> 'O, ?takes: TimeSpan) : OrchestratorTest<'Input, 'Output> =
        activity called (fun _ input -> answer input) takes
        this

    /// The result of an activity, of the number of the attempt and its input.
    member this.ActivityOnAttempt(called: Activity<'I, 'O>, answer: int -> 'I -> 'O, ?takes: TimeSpan) : OrchestratorTest<'Input, 'Output> =
        activity called answer takes
        this

    /// The output of a sub-orchestration, of its input.
    member this.SubOrchestrator(called: Orchestrator<'I, 'O>, answer: 'I -> 'O, ?takes: TimeSpan) : OrchestratorTest<'Input, 'Output> =
        let duration = takes
        let answer (json: obj) (_: obj) =
            answered (fun () -> called.Output.Encode(answer (called.Input.Decode($"the input of '{called.Name}'", json))))
        script?subOrchestrator (called.Name, Func<_, _, _>(answer), Interop.options [ "takes", Option.map Interop.milliseconds duration ])
        this

    /// For `Entity`.
    member this.EntityOf(id: EntityId, operation: string, answer: obj -> obj) : OrchestratorTest<'Input, 'Output> =
        let keyOf (operation: string) (key: string) = $"{id.Name.ToLowerInvariant()}\n{key}\n{operation}"
        operations.[keyOf operation id.Key] <- answer
        let answer (operation: string) (json: obj) (key: string) =
            match operations.TryGetValue(keyOf operation key) with
            | true, answer -> answered (fun () -> answer json)
            | false, _ -> failwith $"the test does not say what '{operation}' of @{id.Name}@{key} returns"
        script?entity (id.Name, Func<_, _, _, _>(answer))
        this

    /// The result of an operation of an entity, of its input.
    member inline this.Entity<'I, 'O>(id: EntityId, operation: string, answer: 'I -> 'O) : OrchestratorTest<'Input, 'Output> =
        let input, output = Json.of'<'I> (), Json.of'<'O> ()
        this.EntityOf(id, operation, (fun json -> output.Encode(answer (input.Decode($"the input of '{operation}'", json)))))

    /// The response to `CallHttp`, of the method and the URL.
    member this.Http(answer: string -> string -> DurableHttpResponse) : OrchestratorTest<'Input, 'Output> =
        let answer (request: obj) =
            let response = answer request?``method`` request?uri
            createObj [
                "statusCode", box response.StatusCode
                "headers", createObj [ for header in response.Headers -> header.Key, box header.Value ]
                "content", box response.Content
            ]
        script?http answer
        this

    /// For `Event`.
    member this.EventOf(name: string, data: obj, after: TimeSpan option) : OrchestratorTest<'Input, 'Output> =
        script?event (name, data, Interop.options [ "after", Option.map Interop.milliseconds after ])
        this

    /// Raises an external event, at once or after a duration.
    member inline this.Event<'T>(name: string, data: 'T, ?after: TimeSpan) : OrchestratorTest<'Input, 'Output> =
        this.EventOf(name, Json.of'<'T>().Encode data, after)

    /// Runs the orchestrator to its end. A failure does not throw.
    member _.Run() : Async<OrchestratorRun<'Output>> =
        async {
            let! result = Async.AwaitPromise(unbox<JS.Promise<obj>> (script?run ()))
            let output =
                match (result?error: obj) with
                | null -> Ok(orchestrator.Output.Decode("the output", result?output))
                | error -> Error (unbox<TaskFailedException> error).FailureDetails
            return
                { OrchestratorRun.Output = output
                  Actions = Interop.spread result?actions |> Array.map Js.textOrNull |> List.ofArray
                  CustomStatus = Js.textOrNull result?customStatus
                  ContinuedAsNew = Interop.present result?continuedAsNew |> Option.map (fun next -> Js.textOrNull next?input)
                  Elapsed = TimeSpan.FromMilliseconds(float result?elapsed) }
        }

/// For `runOperation`.
let runOperationOf (entity: Entity<'State>) (operation: string) (input: obj) (output: Json<'Output>) (state: 'State option) =
    async {
        let options = Interop.options [ "state", state |> Option.map entity.State.Encode ]
        let! result = Async.AwaitPromise(testEntity (entity.Name, operation, input, options))
        let state = Interop.present result?state |> Option.map (fun json -> entity.State.Decode("the state", json))
        return output.Decode("the output", result?output), state
    }

/// Runs one operation of an entity on a state, or on none, and returns its output and the new state. Throws what it throws.
let inline runOperation<'Input, 'Output, 'State>
    (entity: Entity<'State>)
    (operation: string)
    (input: 'Input)
    (state: 'State option)
    : Async<'Output * 'State option> =
    runOperationOf entity operation (Json.of'<'Input>().Encode input) (Json.of'<'Output> ()) state

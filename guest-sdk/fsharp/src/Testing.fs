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

[<Import("testTrigger", "dacapo-sdk/testing")>]
let private testTrigger (_name: string, _input: obj, _options: obj) : JS.Promise<obj> = jsNative

/// What a trigger answered.
[<RequireQualifiedAccess>]
type TestResponse =
    { Status: int
      Headers: Map<string, string>
      Body: string }

/// What a trigger did in a test.
[<RequireQualifiedAccess>]
type TriggerRun =
    { /// Of an HTTP trigger.
      Response: TestResponse option
      /// The messages of each output, as JSON: `{"out":[...]}`.
      Outputs: string
      /// What it did with the durable client, one JSON text each, such as
      /// `{"type":"startOrchestration","name":"order","input":"a lamp"}`.
      Actions: string list }

/// Runs triggers by their names. `client` has answers of the durable client, by function, as JSON: `[ "getStatus", "null" ]`; what it
/// is not told is empty, and starts return `instance-1` and so on. Throws what the trigger throws.
[<AbstractClass; Sealed>]
type TriggerTest =
    /// For the others.
    static member RunOf(name: string, input: obj, client: (string * string) list option) : Async<TriggerRun> =
        async {
            let answers = createObj [ for operation, json in defaultArg client [] -> operation, box (fun (_: obj) -> JS.JSON.parse json) ]
            let! result = Async.AwaitPromise(testTrigger (name, input, createObj [ "client", answers ]))
            let! response =
                match Interop.present result?response with
                | None -> async { return None }
                | Some response ->
                    async {
                        let! body = Async.AwaitPromise(unbox<JS.Promise<string>> (response?text ()))
                        let header (pair: obj) = let pair = unbox<string[]> pair in pair.[0], pair.[1]
                        let headers = Interop.spread response?headers |> Array.map header |> Map.ofArray
                        return Some { TestResponse.Status = response?status; TestResponse.Headers = headers; TestResponse.Body = body }
                    }
            return
                { TriggerRun.Response = response
                  TriggerRun.Outputs = Js.textOrNull result?outputs
                  TriggerRun.Actions = Interop.spread result?actions |> Array.map Js.textOrNull |> List.ofArray }
        }

    /// Sends a request to an HTTP trigger. The default of the method is POST if there is a body, or else GET.
    static member Http
        (
            name: string,
            ?method: string,
            ?url: string,
            ?headers: (string * string) list,
            ?parameters: (string * string) list,
            ?body: string,
            ?client: (string * string) list
        ) : Async<TriggerRun> =
        let texts (pairs: (string * string) list) = createObj [ for name, value in pairs -> name, box value ]
        let request =
            Interop.options [
                "method", Option.map box method
                "url", Option.map box url
                "headers", headers |> Option.map (texts >> box)
                "params", parameters |> Option.map (texts >> box)
                "body", Option.map box body
            ]
        TriggerTest.RunOf(name, request, client)

    /// Runs another trigger: of a timer with `()`, of a queue with the message, of an event hub with the list of events.
    static member inline Run<'T>(name: string, input: 'T, ?client: (string * string) list) : Async<TriggerRun> =
        TriggerTest.RunOf(name, Json.of'<'T>().Encode input, client)

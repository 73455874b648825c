namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

module internal SdkTriggers =
    [<Import("http", "dacapo-sdk")>]
    let http (_name: string, _options: obj, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("timer", "dacapo-sdk")>]
    let timer (_name: string, _options: obj, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("queue", "dacapo-sdk")>]
    let queue (_name: string, _options: obj, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("eventHub", "dacapo-sdk")>]
    let eventHub (_name: string, _options: obj, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("eventGrid", "dacapo-sdk")>]
    let eventGrid (_name: string, _options: obj, _run: Func<obj, obj, obj>) : unit = jsNative

    [<Import("manual", "dacapo-sdk")>]
    let manual (_name: string, _options: obj, _run: Func<obj, obj, obj>) : unit = jsNative

/// Who may call an HTTP trigger: anybody, who has a key of a function, or who has an administrator's key.
[<RequireQualifiedAccess>]
type AuthLevel =
    | Anonymous
    | Function
    | Admin

/// Where a trigger can send messages, by the name that `Send` takes.
[<RequireQualifiedAccess>]
type Output =
    | Queue of name: string * queueName: string
    | EventHub of name: string * eventHubName: string

/// The run of a timer trigger.
[<RequireQualifiedAccess>]
type TimerInfo =
    { IsPastDue: bool
      Last: DateTime option
      Next: DateTime option }

/// The call of a trigger.
[<Sealed>]
type TriggerContext internal (context: obj) =
    member _.Name: string = context?name
    /// The same when the call is repeated, so that other systems can detect a repeated request.
    member _.InvocationId: string = context?invocationId
    /// 1 for the first time that the call is made, then 2, and so on.
    member _.Attempt: int = context?attempt
    /// What is known of the message, as JSON, such as `dequeueCount`.
    member _.Metadata: string = Js.textOrNull context?metadata
    member _.Log = Logger(context?log)
    member _.Client = DurableClient(context?client)

    /// For `Send`.
    member _.SendOf(output: string, message: obj) : unit = context?send (output, message)

    /// Sends a message to an output, once the trigger has returned.
    member inline this.Send<'T>(output: string, message: 'T) : unit = this.SendOf(output, Json.of'<'T>().Encode message)

/// Triggers: functions by which the world reaches the app.
[<AbstractClass; Sealed>]
type Trigger =
    static member private Outputs(outputs: Output list option) : obj =
        let described output =
            match output with
            | Output.Queue(name, queueName) -> name, createObj [ "queueName", box queueName ]
            | Output.EventHub(name, eventHubName) -> name, createObj [ "eventHubName", box eventHubName ]
        createObj (defaultArg outputs [] |> List.map described)

    static member private Run(run: TriggerContext -> Async<'T>, encode: 'T -> obj) (context: obj) : obj =
        Flow.guarded (fun () -> Flow.bind (Async.StartAsPromise(run (TriggerContext context))) encode)

    /// Answers requests to a route, by default the trigger's name below the host's prefix; by default of all methods, with a key of a function.
    static member http
        (
            name: string,
            run: HttpRequest -> TriggerContext -> Async<HttpResponse>,
            ?route: string,
            ?methods: string list,
            ?authLevel: AuthLevel,
            ?outputs: Output list
        ) : unit =
        let level authLevel =
            match authLevel with
            | AuthLevel.Anonymous -> "anonymous"
            | AuthLevel.Function -> "function"
            | AuthLevel.Admin -> "admin"
        let options =
            Interop.options [
                "route", Option.map box route
                "methods", methods |> Option.map (Array.ofList >> box)
                "authLevel", Option.map (level >> box) authLevel
                "outputs", Some(Trigger.Outputs outputs)
            ]
        let answer request context =
            async {
                try
                    return! run request context
                with :? DurableError as failure when failure.ErrorType = HttpRequest.Invalid ->
                    return HttpResponse.Text(failure.Message, status = 400)
            }
        let handler request = Trigger.Run(answer (HttpRequest request), (fun response -> response.Inner))
        SdkTriggers.http (name, options, Func<_, _, _>(handler))

    /// Runs by a schedule: `0 */5 * * * *`, six fields with seconds first, or five; or a time span.
    static member timer
        (
            name: string,
            schedule: string,
            run: TimerInfo -> TriggerContext -> Async<unit>,
            ?runOnStartup: bool,
            ?useMonitor: bool,
            ?outputs: Output list
        ) : unit =
        let options =
            Interop.options [
                "schedule", Some(box schedule)
                "runOnStartup", Option.map box runOnStartup
                "useMonitor", Option.map box useMonitor
                "outputs", Some(Trigger.Outputs outputs)
            ]
        let time (text: obj) = Interop.present text |> Option.map (fun text -> Json.of'<DateTime>().Decode("a time of the host", text))
        let info (timer: obj) =
            let status = Interop.present timer?scheduleStatus
            { TimerInfo.IsPastDue = timer?isPastDue
              TimerInfo.Last = status |> Option.bind (fun status -> time status?last)
              TimerInfo.Next = status |> Option.bind (fun status -> time status?next) }
        let handler timer = Trigger.Run(run (info timer), (fun () -> null))
        SdkTriggers.timer (name, options, Func<_, _, _>(handler))

    /// `read` returns the JSON that the trigger gets, of its message and its context.
    static member private Register
        (register: string * obj * Func<obj, obj, obj> -> unit, name: string, options: (string * obj) list, message: Json<'T>, run, outputs, ?read: obj -> obj -> obj)
        : unit =
        let handler (json: obj) (context: obj) =
            let json = match read with Some read -> read json context | None -> json
            let run context =
                async {
                    let value = message.Decode($"the message of the trigger '{name}'", json)
                    return! run value context
                }
            Trigger.Run (run, (fun () -> null)) context
        register (name, createObj (("outputs", Trigger.Outputs outputs) :: options), Func<_, _, _>(handler))

    /// The SDK for JavaScript has parsed a text that is JSON.
    static member private Text(json: obj) : obj =
        match json with
        | :? string -> json
        | _ -> box (Js.textOrNull json)

    /// For `queue`.
    static member QueueOf(name, queueName: string, message: Json<'T>, run: 'T -> TriggerContext -> Async<unit>, outputs) : unit =
        let text _ (context: obj) : obj = context?metadata?queueTrigger
        let read = if message.TypeName = "string" then Some text else None
        Trigger.Register(SdkTriggers.queue, name, [ "queueName", box queueName ], message, run, outputs, ?read = read)

    /// For `eventHub`.
    static member EventHubOf(name, eventHubName: string, events: Json<'T list>, run: 'T list -> TriggerContext -> Async<unit>, outputs) : unit =
        let texts (json: obj) _ : obj = Interop.spread json |> Array.map Trigger.Text |> box
        let read = if events.TypeName = "string list" then Some texts else None
        Trigger.Register(SdkTriggers.eventHub, name, [ "eventHubName", box eventHubName ], events, run, outputs, ?read = read)

    /// For `eventGrid`.
    static member EventGridOf(name, event: Json<'T>, run: 'T -> TriggerContext -> Async<unit>, outputs) : unit =
        Trigger.Register(SdkTriggers.eventGrid, name, [], event, run, outputs)

    /// For `manual`.
    static member ManualOf(name, input: Json<'T>, run: 'T -> TriggerContext -> Async<unit>, outputs) : unit =
        let text _ (context: obj) : obj = context?metadata?input
        let read = if input.TypeName = "string" then Some text else None
        Trigger.Register(SdkTriggers.manual, name, [], input, run, outputs, ?read = read)

    /// Takes the messages of a queue, one a call: JSON that fits the type, or, if that is `string`, any text.
    static member inline queue<'T>(name: string, queueName: string, run: 'T -> TriggerContext -> Async<unit>, ?outputs: Output list) : unit =
        Trigger.QueueOf(name, queueName, Json.of'<'T> (), run, outputs)

    /// Takes the events of an event hub, in batches.
    static member inline eventHub<'T>(name: string, eventHubName: string, run: 'T list -> TriggerContext -> Async<unit>, ?outputs: Output list) : unit =
        Trigger.EventHubOf(name, eventHubName, Json.of'<'T list> (), run, outputs)

    /// Takes events of Event Grid, and CloudEvents.
    static member inline eventGrid<'T>(name: string, run: 'T -> TriggerContext -> Async<unit>, ?outputs: Output list) : unit =
        Trigger.EventGridOf(name, Json.of'<'T> (), run, outputs)

    /// Is run by an operator, with JSON that fits the type, or, if that is `string`, any text.
    static member inline manual<'T>(name: string, run: 'T -> TriggerContext -> Async<unit>, ?outputs: Output list) : unit =
        Trigger.ManualOf(name, Json.of'<'T> (), run, outputs)

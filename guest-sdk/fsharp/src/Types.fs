namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

module internal Interop =
    /// The properties that have a value.
    let options (properties: (string * obj option) list) : obj =
        createObj [ for name, value in properties do match value with Some value -> name, value | None -> () ]

    let milliseconds (duration: TimeSpan) : obj = box duration.TotalMilliseconds

    [<Emit("new Date($0)")>]
    let private newDate (_milliseconds: float) : obj = jsNative

    /// A date of JavaScript.
    let date (time: DateTime) : obj =
        newDate (float (DateTimeOffset(time.ToUniversalTime()).ToUnixTimeMilliseconds()))

    [<Emit("$0 ?? undefined")>]
    let present (_value: obj) : obj option = jsNative

    [<Emit("Object.entries($0 ?? {})")>]
    let entries (_value: obj) : (string * obj)[] = jsNative

    [<Emit("[...$0]")>]
    let spread (_value: obj) : obj[] = jsNative

    let optionalText (value: obj) : string option = present value |> Option.map string

/// When and how often a failed call is retried. The host keeps the schedule.
[<Sealed>]
type RetryPolicy
    (
        maxNumberOfAttempts: int,
        firstRetryInterval: TimeSpan,
        ?backoffCoefficient: float,
        ?maxRetryInterval: TimeSpan,
        ?retryTimeout: TimeSpan,
        ?nonRetriableErrorTypes: string list
    ) =
    member internal _.Options: obj =
        Interop.options [
            "maxAttempts", Some(box maxNumberOfAttempts)
            "firstInterval", Some(Interop.milliseconds firstRetryInterval)
            "backoffCoefficient", Option.map box backoffCoefficient
            "maxInterval", Option.map Interop.milliseconds maxRetryInterval
            "timeout", Option.map Interop.milliseconds retryTimeout
            "nonRetriableErrorTypes", nonRetriableErrorTypes |> Option.map (Array.ofList >> box)
        ]

/// The id of an entity.
[<RequireQualifiedAccess>]
type EntityId = { Name: string; Key: string }

[<Import("EntityId", "dacapo-sdk")>]
type internal JsEntityId(name: string, key: string) =
    class
    end

module internal EntityIds =
    let toJs (id: EntityId) : obj = box (JsEntityId(id.Name, id.Key))
    let ofJs (id: obj) : EntityId = { EntityId.Name = id?name; Key = id?key }

/// The instance that has called a sub-orchestration.
[<RequireQualifiedAccess>]
type ParentInstance = { Name: string; InstanceId: string }

/// Writes lines to the host's log. A replay does not write them again.
[<Sealed>]
type Logger internal (log: obj) =
    member _.LogTrace(message: string) : unit = log?trace message
    member _.LogDebug(message: string) : unit = log?debug message
    member _.LogInformation(message: string) : unit = log?info message
    member _.LogWarning(message: string) : unit = log?warn message
    member _.LogError(message: string) : unit = log?error message

/// A request that is sent. `enablePolling` says whether a response 202 to `CallHttp` is polled, which is the default.
[<Sealed>]
type DurableHttpRequest
    (method: string, url: string, ?headers: (string * string) list, ?content: string, ?enablePolling: bool, ?timeout: TimeSpan) =
    member _.Method = method
    member _.Url = url
    member _.Headers = defaultArg headers []
    member _.Content = content

    member internal this.Options: obj =
        Interop.options [
            "method", Some(box method)
            "url", Some(box url)
            "headers", Some(createObj [ for name, value in this.Headers -> name, box value ])
            "body", Option.map box content
            "enablePolling", Option.map box enablePolling
            "timeoutMs", Option.map Interop.milliseconds timeout
        ]

/// A response that was received.
type DurableHttpResponse =
    { StatusCode: int
      Headers: Map<string, string>
      Content: string }

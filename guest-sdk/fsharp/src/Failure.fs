namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

/// Why a function has failed.
[<RequireQualifiedAccess>]
type FailureDetails =
    { ErrorType: string
      ErrorMessage: string
      StackTrace: string option
      /// Whether a retry policy must not try again.
      IsNonRetriable: bool
      InnerFailure: FailureDetails option }

    /// Whether this or an inner failure is of a type.
    member this.IsCausedBy(errorType: string) : bool =
        this.ErrorType = errorType
        || match this.InnerFailure with
           | Some inner -> inner.IsCausedBy errorType
           | None -> false

/// A failure with a type that callers match on: of a function of the app, or of the host, such as `InstanceAlreadyExists`.
[<Import("DurableError", "dacapo-sdk")>]
type DurableError internal (message: string, options: obj) =
    inherit Exception(message)

/// Makes a failure with a type that callers match on, and that a retry policy respects:
/// `raise (DurableException("OutOfStock", "there is no lamp", retriable = false))`.
[<Sealed>]
type DurableException(errorType: string, message: string, ?retriable: bool) =
    inherit DurableError(message, createObj [ "type", box errorType; "retriable", box (defaultArg retriable true) ])

/// The exception of a task that has failed: an activity, a sub-orchestration, an entity, or what the host itself reports.
[<Import("TaskFailedError", "dacapo-sdk")>]
type TaskFailedException internal (details: obj) =
    inherit Exception("")

[<AutoOpen>]
module TaskFailures =
    let rec private details (failure: obj) : FailureDetails =
        { FailureDetails.ErrorType = failure?errorType
          ErrorMessage = failure?errorMessage
          StackTrace = Option.ofObj (unbox<string> failure?stackTrace)
          IsNonRetriable = failure?isNonRetriable
          InnerFailure = if isNull failure?innerFailure then None else Some(details failure?innerFailure) }

    type DurableError with
        member this.ErrorType: string = (this :> obj)?name
        /// Whether a retry policy may try again.
        member this.IsRetriable: bool = (this :> obj)?retriable

    type TaskFailedException with
        member this.FailureDetails: FailureDetails = details (this :> obj)?failureDetails

    /// Matches the exception of a task that has failed.
    let (|TaskFailed|_|) (error: exn) : FailureDetails option =
        match error with
        | :? TaskFailedException as failed -> Some failed.FailureDetails
        | _ -> None

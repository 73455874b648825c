namespace Dacapo

open System
open Fable.Core
open Fable.Core.JsInterop

/// The request that has started an HTTP trigger.
[<Sealed>]
type HttpRequest internal (request: obj) =
    let read (promise: obj) : Async<'T> = Async.AwaitPromise(unbox<JS.Promise<'T>> promise)

    let invalid (why: string) : 'T = raise (DurableException(HttpRequest.Invalid, why, retriable = false))

    /// The type of the failure of a request that is answered with 400.
    static member internal Invalid = "InvalidRequest"
    /// The request of the SDK for JavaScript.
    member internal _.Inner = request

    member _.Method: string = request?method
    member _.Url: string = request?url

    /// The value of a header, if there is one; several values are joined with commas.
    member _.Header(name: string) : string option = Interop.optionalText (request?headers?get name)

    /// The first value of a parameter in the query, if there is one.
    member _.Query(name: string) : string option = Interop.optionalText (request?query?get name)

    /// All values of a parameter in the query.
    member _.QueryValues(name: string) : string list = request?query?getAll name |> Interop.spread |> Array.map string |> List.ofArray

    /// The parameters of the route.
    member _.Params: Map<string, string> =
        Interop.entries request?``params`` |> Array.map (fun (name, value) -> name, string value) |> Map.ofArray

    member _.ReadText() : Async<string> = read (request?text ())
    member _.ReadBytes() : Async<byte[]> = read (request?bytes ())

    /// For `ReadJson`.
    member this.ReadJsonOf(json: Json<'T>) : Async<'T> =
        async {
            let! text = this.ReadText()
            try
                return json.Decode("the body of the request", JS.JSON.parse text)
            with
            | :? DurableError as misfit -> return invalid misfit.Message
            | error -> return invalid $"the body of the request is not JSON: {error.Message}"
        }

    /// The body, from JSON. A request whose body does not fit the type is answered with 400, unless the trigger catches that.
    member inline this.ReadJson<'T>() : Async<'T> = this.ReadJsonOf(Json.of'<'T> ())

/// What an HTTP trigger answers.
[<Sealed>]
type HttpResponse internal (response: obj) =
    static let make (body: (string * obj) option) (status: int option) (headers: (string * string) list option) =
        let headers = headers |> Option.map (List.map (fun (name, value) -> [| name; value |]) >> Array.ofList >> box)
        HttpResponse(Interop.options [ "status", Option.map box status; "headers", headers; match body with Some(name, body) -> name, Some body | None -> () ])

    /// A response of the SDK for JavaScript, or options of one.
    member internal _.Inner = response

    /// Without a body. The default of the status is 204.
    static member Empty(?status: int, ?headers: (string * string) list) : HttpResponse = make None (Some(defaultArg status 204)) headers

    /// The default of the status is 200.
    static member Text(text: string, ?status: int, ?headers: (string * string) list) : HttpResponse =
        make (Some("body", box text)) status headers

    static member Bytes(bytes: byte[], ?status: int, ?headers: (string * string) list) : HttpResponse =
        make (Some("body", box bytes)) status headers

    /// For `Json`.
    static member JsonOf(json: obj, status: int option, headers: (string * string) list option) : HttpResponse =
        make (Some("jsonBody", json)) status headers

    static member inline Json<'T>(value: 'T, ?status: int, ?headers: (string * string) list) : HttpResponse =
        HttpResponse.JsonOf(Json.of'<'T>().Encode value, status, headers)

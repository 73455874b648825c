namespace Dacapo

open Fable.Core
open Fable.Core.JsInterop

/// Requests of activities and triggers, to the hosts that the hub allows. An orchestrator has `CallHttp`.
module Http =
    [<Emit("fetch($0, $1)")>]
    let private fetch (_url: string) (_options: obj) : JS.Promise<obj> = jsNative

    /// Sends a request and waits for its response, whatever its status.
    let send (request: DurableHttpRequest) : Async<DurableHttpResponse> =
        async {
            let options =
                Interop.options [
                    "method", Some(box request.Method)
                    "headers", Some(createObj [ for name, value in request.Headers -> name, box value ])
                    "body", Option.map box request.Content
                ]
            let! response = Async.AwaitPromise(fetch request.Url options)
            let! content = Async.AwaitPromise(unbox<JS.Promise<string>> (response?text ()))
            let header (pair: obj) =
                let pair = unbox<string[]> pair
                pair.[0], pair.[1]
            return
                { StatusCode = response?status
                  Headers = Interop.spread response?headers |> Array.map header |> Map.ofArray
                  Content = content }
        }

    let get (url: string) : Async<DurableHttpResponse> = send (DurableHttpRequest("GET", url))

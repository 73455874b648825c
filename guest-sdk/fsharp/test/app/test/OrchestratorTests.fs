module OrchestratorTests

open System
open Dacapo
open Dacapo.Testing
open Types
open Orders

let lamp = { Item = "lamp"; Shape = Circle 1; Limit = Some 9.99M }

test "inputs and outputs have their types" (fun () ->
    async {
        let! run = OrchestratorTest(order, lamp).Activity(reserve, fun order -> OrderId $"{order.Item} {order.Limit}").Run()
        run.Gives(OrderId "lamp 9.99")
        equal """{"reserved":"lamp 9.99"}""" run.CustomStatus
        equal [ """{"type":"callActivity","name":"reserve","input":{"Item":"lamp","Shape":{"Case":"Circle","Fields":[1]},"Limit":9.99}}""" ] (run.Actions |> List.filter (fun action -> action.Contains "callActivity"))
    })

test "the syntax of orchestrators" (fun () ->
    async {
        let! run =
            OrchestratorTest(syntax, 2)
                .Activity(slow, (fun text -> text.ToUpperInvariant()))
                .Activity(reserve, (fun order -> raise (OutOfStock order.Item)))
                .SubOrchestrator(double, (fun n -> n * 2))
                .Run()
        run.Gives [ "FOR 1"; "FOR 2"; "the last"; "finally"; "OutOfStock"; "ONE 42"; "matched" ]
        equal (TimeSpan.FromHours 2) run.Elapsed
    })

test "flows run at once, and events go to those that wait" (fun () ->
    async {
        let! run =
            OrchestratorTest(flows, ())
                .Event("A", 1, after = TimeSpan.FromMinutes 5)
                .Event("B", 2, after = TimeSpan.FromMinutes 4)
                .Run()
        run.Gives {| first = "B 2"; all = [| "A 1"; "B 2" |]; none = [||] |}
        equal (TimeSpan.FromMinutes 5) run.Elapsed
    })

test "failures have types" (fun () ->
    async {
        let failure kind = async { return! OrchestratorTest(failing, kind).Activity(slow, id).Run() }
        for kind, errorType in [ "exception of F#", "OutOfStock"; "failwith", "Error"; "typed", "Declined"; "cancel", "InvalidOperation"; "output", "InvalidInput" ] do
            let! run = failure kind
            run.FailsWith errorType
        let! run = failure "output"
        match run.Output with
        | Error failure -> equal "the output of the activity 'slow' does not fit the type int: it is \"text\", and must be an integer (int)" failure.ErrorMessage
        | Ok() -> failwith "it did not fail"
    })

test "entities" (fun () ->
    async {
        let! run = OrchestratorTest(count, ()).Entity(counter.Id "k", "add", fun (_: string) -> 7).Run()
        run.Gives 7
        let! (n: int), state = runOperation counter "add" "x" None
        equal (1, Some {| Count = 1; Names = [ "x" ] |}) (n, state)
        let! (n: int), state = runOperation counter "add" "y" state
        equal (2, Some {| Count = 2; Names = [ "y"; "x" ] |}) (n, state)
        let! (), state = runOperation counter "reset" () state
        equal None state
    })

test "HTTP, and continue as new" (fun () ->
    async {
        let answer ``method`` url = { StatusCode = 201; Headers = Map [ "y", "2" ]; Content = $"{``method``} {url}" }
        let! run = OrchestratorTest(callHttp, "http://example.org/").Http(answer).Run()
        run.Gives(201, "2", "POST http://example.org/")
        let! run = OrchestratorTest(eternal, 3).Run()
        equal (Some "2") run.ContinuedAsNew
    })

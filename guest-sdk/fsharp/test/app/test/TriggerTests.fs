module TriggerTests

open Dacapo.Testing

test "requests" (fun () ->
    async {
        let body = """{"item":"lamp","shape":"Nothing"}"""
        let! run = TriggerTest.Http("start", parameters = [ "id", "o1" ], body = body)
        equal (Some 202) (run.Response |> Option.map (fun response -> response.Status))
        equal [ """{"type":"startOrchestration","name":"order","input":{"Item":"lamp","Shape":{"Case":"Nothing"},"Limit":null},"instanceId":"o1"}""" ] run.Actions
        let! run = TriggerTest.Http("start", parameters = [ "id", "o1" ], body = "{}")
        equal (Some(400, "the body of the request does not fit the type Order: .Item is missing, and must be a string")) (run.Response |> Option.map (fun response -> response.Status, response.Body))
        let! run = TriggerTest.Http("echo", url = "http://h/?q=1", headers = [ "x-a", "a" ])
        equal (Some("""["GET","","a","1","1"]""", "b")) (run.Response |> Option.map (fun response -> response.Body, response.Headers.["x-b"]))
    })

test "timers, messages and outputs" (fun () ->
    async {
        let! run = TriggerTest.Run("nightly", (), client = [ "purgeInstances", "3" ])
        equal """{"out":[{"late":false,"next":null,"removed":3}]}""" run.Outputs
        let! run = TriggerTest.Run("texts", "5.0")
        equal """{"copies":["5.0"]}""" run.Outputs
        let! run = TriggerTest.Run("note", "5.0")
        equal """{"copies":["5.0"]}""" run.Outputs
        let! run = TriggerTest.Run("work", {| Item = "i1"; Shape = Types.Circle 2 |})
        equal [ """{"type":"raiseEvent","instanceId":"i1","name":"Arrived","data":{"Case":"Circle","Fields":[2]}}""" ] run.Actions
    })

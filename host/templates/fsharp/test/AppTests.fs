module AppTests

open System
open App
open Dacapo.Testing

let reserved () = OrchestratorTest(order, "a lamp").Activity(reserve, fun item -> $"the reservation of {item}")

test "an approved order is sent" (fun () ->
    async {
        let! run = reserved().Event("Approval", true, after = TimeSpan.FromHours 2).Run()
        run.Gives "the reservation of a lamp is on its way"
        equal (TimeSpan.FromHours 2) run.Elapsed
    })

test "without an answer it expires" (fun () ->
    async {
        let! run = reserved().Run()
        run.Gives "the reservation of a lamp has expired"
        equal (TimeSpan.FromDays 3) run.Elapsed
    })

test "a reservation is tried again" (fun () ->
    async {
        let answer attempt _ = if attempt < 3 then failwith "try later" else "r-17"
        let! run = OrchestratorTest(order, "a lamp").ActivityOnAttempt(reserve, answer).Event("Approval", false).Run()
        run.Gives "r-17 was rejected"
        equal (TimeSpan.FromSeconds 3) run.Elapsed
    })

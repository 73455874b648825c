module Triggers

open System
open Dacapo
open Types
open Orders

Trigger.http (
    "start",
    (fun request ctx ->
        async {
            let! order = request.ReadJson<Order>()
            let! id = ctx.Client.StartOrchestration(Orders.order, order, instanceId = request.Params.["id"])
            return ctx.Client.CreateCheckStatusResponse(request, id)
        }),
    route = "orders/{id}",
    methods = [ "POST" ],
    authLevel = AuthLevel.Anonymous
)

Trigger.http (
    "echo",
    (fun request _ ->
        async {
            let! text = request.ReadText()
            let parts = [ request.Method; text; defaultArg (request.Header "x-a") "-"; defaultArg (request.Query "q") "-" ]
            return HttpResponse.Json(parts @ request.QueryValues "q", status = 201, headers = [ "X-B", "b" ])
        })
)

Trigger.timer (
    "nightly",
    "0 0 3 * * *",
    (fun timer ctx ->
        async {
            let! removed = ctx.Client.PurgeInstances(InstanceFilter(createdTimeFrom = DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc), runtimeStatus = [ "Completed" ]))
            ctx.Send("out", {| removed = removed; late = timer.IsPastDue; next = timer.Next |})
        }),
    outputs = [ Output.Queue("out", "reports") ]
)

Trigger.queue ("work", "orders", (fun (order: Order) ctx -> async { do! ctx.Client.RaiseEvent(order.Item, "Arrived", order.Shape) }))

Trigger.queue ("texts", "texts", (fun (text: string) ctx -> async { ctx.Send("copies", text) }), outputs = [ Output.Queue("copies", "copies"); Output.EventHub("hub", "h") ])

Trigger.eventHub ("events", "hub", (fun (texts: string list) ctx -> async { ctx.Log.LogInformation(String.Join("|", texts)) }))

Trigger.eventGrid ("grid", (fun (event: {| subject: string |}) ctx -> async { ctx.Log.LogWarning event.subject }))

Trigger.manual ("note", (fun (text: string) ctx -> async { ctx.Send("copies", text) }), outputs = [ Output.Queue("copies", "copies") ])

Trigger.manual ("manage", (fun (id: string) ctx ->
    async {
        let client = ctx.Client
        let! status = client.GetStatus(id, showHistory = true)
        let! page = client.ListInstances(InstanceFilter(instanceIdPrefix = "a"), top = 2)
        do! client.Suspend(id, "s")
        do! client.Resume(id, "r")
        do! client.Rewind(id, "w")
        do! client.Terminate(id, "t")
        let! again = client.Restart id
        let! purged = client.Purge id
        let! ended = client.WaitForCompletion(id, TimeSpan.FromSeconds 5)
        do! client.SignalEntity(counter.Id "k", "add", "x", deliverAt = DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc))
        do! client.Enqueue("orders", [ "a"; "b" ])
        do! client.Enqueue("counts", [ {| Count = 1 |} ], deliverAt = DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc))
        let! state = client.ReadEntity<{| Count: int |}>(counter.Id "k")
        let! entities = client.ListEntities(entityName = "counter", fetchState = true)
        ctx.Log.LogInformation(
            Json.stringify
                {| output = status |> Option.map (fun status -> Json.parse<int list> status.Output)
                   ended = ended |> Option.map (fun status -> status.HasEnded)
                   ids = page.Items |> List.map (fun status -> status.InstanceId)
                   token = page.ContinuationToken
                   again = again
                   purged = purged
                   state = state
                   entities = entities.Items |> List.map (fun entity -> entity.Id.Key)
                   link = (client.Links id).["statusQueryGetUri"] |}
        )
    }))

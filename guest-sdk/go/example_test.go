package dacapo_test

import (
	"errors"
	"fmt"
	"time"

	dacapo "dacapo.dev/sdk"
)

// An app registers its functions in init functions. These examples register them in place.

func ExampleOrchestrator() {
	dacapo.Orchestrator("greet", func(ctx *dacapo.Context, city string) (string, error) {
		return dacapo.CallActivity[string](ctx, "say_hello", city).Await()
	})
}

func ExampleActivity() {
	dacapo.Activity("say_hello", func(ctx *dacapo.ActivityContext, city string) (string, error) {
		if city == "" {
			return "", &dacapo.Failure{Type: "NobodyThere", Message: "a greeting needs a city", NotRetriable: true}
		}
		ctx.Log().Info("greeting", "city", city, "attempt", ctx.Attempt())
		return "Hello " + city + "!", nil
	})
}

func ExampleCallActivity_retry() {
	dacapo.Orchestrator("charge_order", func(ctx *dacapo.Context, order string) (string, error) {
		policy := dacapo.RetryPolicy{
			MaxAttempts:   5,
			FirstInterval: time.Second,
			Backoff:       2,
			NotRetriable:  []string{"CardDeclined"},
		}
		receipt, err := dacapo.CallActivity[string](ctx, "charge", order, policy).Await()
		if dacapo.IsFailure(err, "CardDeclined") {
			return "declined", nil
		}
		return receipt, err
	})
}

func ExampleCallSubOrchestrator() {
	dacapo.Orchestrator("close_year", func(ctx *dacapo.Context, year int) ([]string, error) {
		var reports []*dacapo.Task[string]
		for quarter := 1; quarter <= 4; quarter++ {
			id := dacapo.InstanceID(fmt.Sprintf("report-%d-%d", year, quarter))
			reports = append(reports, dacapo.CallSubOrchestrator[string](ctx, "report", quarter, id, dacapo.Version("2.0")))
		}
		return dacapo.All(ctx, reports...)
	})
}

func ExampleTask_AwaitFor() {
	dacapo.Orchestrator("await_approval", func(ctx *dacapo.Context, _ any) (string, error) {
		approved, err := dacapo.WaitForExternalEvent[bool](ctx, "Approval").AwaitFor(72 * time.Hour)
		switch {
		case errors.Is(err, dacapo.ErrTimedOut):
			return "nobody answered", nil
		case err != nil:
			return "", err
		case approved:
			return "approved", nil
		default:
			return "rejected", nil
		}
	})
}

func ExampleContext_Any() {
	dacapo.Orchestrator("fetch_from_either", func(ctx *dacapo.Context, item string) (string, error) {
		near := dacapo.CallActivity[string](ctx, "fetch_near", item)
		far := dacapo.CallActivity[string](ctx, "fetch_far", item)
		if ctx.Any(near, far) == 0 {
			return near.Await()
		}
		return far.Await()
	})
}

func ExampleGo() {
	dacapo.Orchestrator("ship_all", func(ctx *dacapo.Context, orders []string) ([]string, error) {
		var shipments []*dacapo.Task[string]
		for _, order := range orders {
			shipments = append(shipments, dacapo.Go(ctx, func() (string, error) {
				parcel, err := dacapo.CallActivity[string](ctx, "pack", order).Await()
				if err != nil {
					return "", err
				}
				return dacapo.CallActivity[string](ctx, "send", parcel).Await()
			}))
		}
		return dacapo.All(ctx, shipments...)
	})
}

func ExampleContext_ContinueAsNew() {
	dacapo.Orchestrator("monitor", func(ctx *dacapo.Context, checks int) (string, error) {
		isDone, err := dacapo.CallActivity[bool](ctx, "is_done", checks).Await()
		if err != nil || isDone {
			return "done", err
		}
		if err := ctx.Sleep(10 * time.Minute); err != nil {
			return "", err
		}
		return "", ctx.ContinueAsNew(checks + 1)
	})
}

func ExampleContext_CallHTTP() {
	dacapo.Orchestrator("render", func(ctx *dacapo.Context, scene string) (string, error) {
		response, err := ctx.CallHTTP(dacapo.HTTPRequest{
			Method:  "POST",
			URI:     "https://render.example.org/jobs",
			Headers: map[string]string{"Content-Type": "application/json"},
			Content: scene,
		}).Await()
		if err != nil {
			return "", err
		}
		if response.StatusCode != 200 {
			return "", fmt.Errorf("the renderer answered %d", response.StatusCode)
		}
		return response.Content, nil
	})
}

type stock struct{ Left int }

func (s *stock) Take(_ *dacapo.EntityContext, count int) (int, error) {
	if count > s.Left {
		return s.Left, fmt.Errorf("only %d are left", s.Left)
	}
	s.Left -= count
	return s.Left, nil
}

func ExampleEntity() {
	dacapo.Entity("stock", dacapo.Operation("take", (*stock).Take))
}

func ExampleContext_Lock() {
	dacapo.Orchestrator("transfer", func(ctx *dacapo.Context, amount int) (int, error) {
		from, to := dacapo.EntityID{Name: "account", Key: "ada"}, dacapo.EntityID{Name: "account", Key: "grace"}
		lock, err := ctx.Lock(from, to).Await()
		if err != nil {
			return 0, err
		}
		defer lock.Unlock()
		if _, err := dacapo.CallEntity[int](ctx, from, "add", -amount).Await(); err != nil {
			return 0, err
		}
		return dacapo.CallEntity[int](ctx, to, "add", amount).Await()
	})
}

func ExampleClient_StartOrchestration() {
	dacapo.Activity("import_orders", func(ctx *dacapo.ActivityContext, orders []string) (int, error) {
		started := 0
		for _, order := range orders {
			_, err := ctx.StartOrchestration("ship", order, dacapo.InstanceID("ship-"+order))
			if dacapo.IsFailure(err, "InstanceAlreadyExists") {
				continue
			}
			if err != nil {
				return started, err
			}
			started++
		}
		return started, nil
	})
}

func ExampleActivityContext_SendHTTP() {
	dacapo.Activity("ping", func(ctx *dacapo.ActivityContext, uri string) (int, error) {
		response, err := ctx.SendHTTP(dacapo.HTTPRequest{URI: uri, Timeout: 5 * time.Second})
		return response.StatusCode, err
	})
}

func ExampleHTTPTrigger() {
	start := func(ctx *dacapo.TriggerContext, request *dacapo.HTTPTriggerRequest) (*dacapo.HTTPTriggerResponse, error) {
		id, err := ctx.StartOrchestration("ship", string(request.Body), dacapo.InstanceID(request.Params["id"]))
		if dacapo.IsFailure(err, "InstanceAlreadyExists") {
			return dacapo.TextResponse(409, "it is on its way"), nil
		}
		if err != nil {
			return nil, err
		}
		return ctx.WaitForCompletionOrCreateCheckStatusResponse(request, id, 5*time.Second)
	}
	dacapo.HTTPTrigger("start", start, dacapo.Route("shipments/{id}"), dacapo.Methods{"PUT"}, dacapo.AuthFunction)
}

func ExampleTimerTrigger() {
	cleanUp := func(ctx *dacapo.TriggerContext, timer dacapo.TimerInfo) error {
		purged, err := ctx.PurgeInstances(dacapo.InstanceFilter{
			CreatedFrom:   time.Now().AddDate(0, -1, 0),
			RuntimeStatus: []dacapo.RuntimeStatus{dacapo.StatusCompleted},
		})
		ctx.Log().Info("cleaned up", "instances", purged, "late", timer.IsPastDue)
		return err
	}
	dacapo.TimerTrigger("clean_up", "0 30 3 * * *", cleanUp)
}

func ExampleQueueTrigger() {
	type order struct{ ID, Item string }
	dacapo.QueueTrigger("take_order", "orders", func(ctx *dacapo.TriggerContext, message dacapo.QueueMessage[order]) error {
		if message.Value.Item == "" {
			return ctx.Output("rejected", message.Value)
		}
		_, err := ctx.StartOrchestration("ship", message.Value, dacapo.InstanceID(message.Value.ID))
		return err
	}, dacapo.QueueOutput("rejected", "rejected-orders"))
}

func ExampleReadEntity() {
	dacapo.Activity("is_left", func(ctx *dacapo.ActivityContext, item string) (bool, error) {
		state, err := dacapo.ReadEntity[stock](ctx.Client, dacapo.EntityID{Name: "stock", Key: item})
		return state != nil && state.Left > 0, err
	})
}

// An order that waits for its approval.
package main

import (
	"errors"
	"time"

	dacapo "dacapo.dev/sdk"
)

func init() {
	dacapo.Orchestrator("order", order)
	dacapo.Activity("reserve", reserve)
	dacapo.HTTPTrigger("start_order", startOrder, dacapo.Route("orders"), dacapo.Methods{"POST"}, dacapo.AuthAnonymous)
}

// The host calls the functions; main is never called.
func main() {}

// order defines what happens, in which order. It survives crashes and restarts, and may take days.
func order(ctx *dacapo.Context, item string) (string, error) {
	retry := dacapo.RetryPolicy{MaxAttempts: 5, FirstInterval: time.Second, Backoff: 2}
	reservation, err := dacapo.CallActivity[string](ctx, "reserve", item, retry).Await()
	if err != nil {
		return "", err
	}

	approved, err := dacapo.WaitForExternalEvent[bool](ctx, "Approval").AwaitFor(3 * 24 * time.Hour)
	switch {
	case errors.Is(err, dacapo.ErrTimedOut):
		return reservation + " has expired", nil
	case err != nil:
		return "", err
	case approved:
		return reservation + " is on its way", nil
	default:
		return reservation + " was rejected", nil
	}
}

// reserve does the work. All input and output belongs in activities.
func reserve(_ *dacapo.ActivityContext, item string) (string, error) {
	if item == "" {
		return "", &dacapo.Failure{Type: "NothingToReserve", Message: "an order names an item", NotRetriable: true}
	}
	return "the reservation of " + item, nil
}

// startOrder starts an order of the item in the body, a JSON text. The response says where its status is.
func startOrder(ctx *dacapo.TriggerContext, request *dacapo.HTTPTriggerRequest) (*dacapo.HTTPTriggerResponse, error) {
	var item string
	if err := request.DecodeJSON(&item); err != nil {
		return dacapo.TextResponse(400, err.Error()), nil
	}
	id, err := ctx.StartOrchestration("order", item)
	if err != nil {
		return nil, err
	}
	return ctx.CreateCheckStatusResponse(request, id)
}

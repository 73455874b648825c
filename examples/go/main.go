// The tour: a chain, a fan-out, a race of an event against a timer, and a retry.
package main

import (
	"errors"
	"fmt"
	"time"

	dacapo "dacapo.dev/sdk"
)

func init() {
	dacapo.Orchestrator("hello_sequence", helloSequence)
	dacapo.Orchestrator("fan_out", fanOut)
	dacapo.Orchestrator("approval", approval)
	dacapo.Orchestrator("stubborn", stubborn)
	dacapo.Activity("say_hello", sayHello)
	dacapo.Activity("square", square)
	dacapo.Activity("flaky", flaky)
}

// main is required but never runs: the host calls the registered functions.
func main() {}

func helloSequence(ctx *dacapo.Context, _ any) ([]string, error) {
	var greetings []string
	for _, city := range []string{"Tokyo", "Seattle", "London"} {
		greeting, err := dacapo.CallActivity[string](ctx, "say_hello", city).Await()
		if err != nil {
			return nil, err
		}
		greetings = append(greetings, greeting)
	}
	return greetings, nil
}

func fanOut(ctx *dacapo.Context, n int) (int, error) {
	var tasks []*dacapo.Task[int]
	for i := 1; i <= n; i++ {
		tasks = append(tasks, dacapo.CallActivity[int](ctx, "square", i))
	}
	squares, err := dacapo.All(ctx, tasks...)
	sum := 0
	for _, square := range squares {
		sum += square
	}
	return sum, err
}

func approval(ctx *dacapo.Context, milliseconds int) (string, error) {
	approved, err := dacapo.WaitForExternalEvent[bool](ctx, "Approval").AwaitFor(time.Duration(milliseconds) * time.Millisecond)
	switch {
	case errors.Is(err, dacapo.ErrTimedOut):
		return "expired", nil
	case err != nil:
		return "", err
	case approved:
		return "approved", nil
	default:
		return "rejected", nil
	}
}

func stubborn(ctx *dacapo.Context, k int) (any, error) {
	policy := dacapo.RetryPolicy{MaxAttempts: 3, FirstInterval: 10 * time.Millisecond, Backoff: 2}
	attempt, err := dacapo.CallActivity[int](ctx, "flaky", k, policy).Await()
	if failure := new(dacapo.Failure); errors.As(err, &failure) {
		return "gave up: " + failure.Message, nil
	}
	return attempt, err
}

func sayHello(_ *dacapo.ActivityContext, city string) (string, error) {
	return "Hello " + city + "!", nil
}

func square(_ *dacapo.ActivityContext, n int) (int, error) {
	return n * n, nil
}

func flaky(ctx *dacapo.ActivityContext, k int) (int, error) {
	if ctx.Attempt() < k {
		return 0, &dacapo.Failure{Type: "NotYet", Message: fmt.Sprintf("attempt %d of %d", ctx.Attempt(), k)}
	}
	return ctx.Attempt(), nil
}

package dacapo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/dacapotest"
)

var registered int

// orchestrator registers the orchestrator of one test, under a unique name.
func orchestrator[In, Out any](t *testing.T, run func(ctx *dacapo.Context, in In) (Out, error)) string {
	registered++
	name := fmt.Sprintf("%s-%d", t.Name(), registered)
	dacapo.Orchestrator(name, run)
	return name
}

func expect[T any](t *testing.T, run *dacapotest.Run, want T) {
	t.Helper()
	if got := dacapotest.Result[T](t, run); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFlowsTakeTurnsInTheOrderInWhichTheirTasksComplete(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) ([]string, error) {
		var order []string
		var flows []*dacapo.Task[int]
		for i, naps := range [][]int{{30, 30}, {10, 40}, {20}} {
			flows = append(flows, dacapo.Go(ctx, func() (int, error) {
				for _, nap := range naps {
					if err := ctx.Sleep(time.Duration(nap) * time.Millisecond); err != nil {
						return 0, err
					}
					order = append(order, fmt.Sprintf("%d after %d", i, nap))
				}
				return i, nil
			}))
		}
		_, err := dacapo.All(ctx, flows...)
		return order, err
	})
	run := dacapotest.NewScript().Run(t, name, nil)
	expect(t, run, []string{"1 after 10", "2 after 20", "0 after 30", "1 after 40", "0 after 30"})
	if run.Elapsed != 60*time.Millisecond {
		t.Errorf("it took %v", run.Elapsed)
	}
}

func TestARaceIsWonByWhatCompletedFirst(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) ([]int, error) {
		slow := dacapo.CallActivity[int](ctx, "slow", nil)
		event := dacapo.WaitForExternalEvent[int](ctx, "Go")
		first := ctx.Any(slow, event)
		if err := ctx.Sleep(time.Hour); err != nil {
			return nil, err
		}
		// Both have completed by now; the results are still in the order of completion.
		return []int{first, ctx.Any(slow, event)}, nil
	})
	script := dacapotest.NewScript()
	script.Activity("slow", dacapotest.After(time.Minute, 1))
	script.Event("Go", 2, time.Second)
	expect(t, script.Run(t, name, nil), []int{1, 1})
}

func TestAWaitThatTimesOutLeavesTheEventForTheNext(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) (string, error) {
		_, err := dacapo.WaitForExternalEvent[string](ctx, "Letter").AwaitFor(time.Minute)
		if !errors.Is(err, dacapo.ErrTimedOut) {
			return "", fmt.Errorf("got %w", err)
		}
		return dacapo.WaitForExternalEvent[string](ctx, "letter").Await()
	})
	script := dacapotest.NewScript()
	script.Event("Letter", "dear", 2*time.Minute)
	run := script.Run(t, name, nil)
	expect(t, run, "dear")
	asked := []string{
		"wait-for-external-event Letter", "create-timer 1m0s", "cancel wait-for-external-event Letter",
		"wait-for-external-event letter",
	}
	if !slices.Equal(run.Actions, asked) {
		t.Errorf("it asked for %q", run.Actions)
	}
}

// Waits that lose a race are not cancelled. One event is raised while the flow waits for something else.
func TestAWaitThatLostTakesNoEvent(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) ([]string, error) {
		var rounds []string
		for range 4 {
			event := dacapo.WaitForExternalEvent[string](ctx, "Go")
			if ctx.Any(event, ctx.CreateTimer(time.Minute)) == 1 {
				rounds = append(rounds, "late")
				if err := ctx.Sleep(time.Minute); err != nil {
					return nil, err
				}
				continue
			}
			data, err := event.Await()
			if err != nil {
				return nil, err
			}
			rounds = append(rounds, data)
		}
		return rounds, nil
	})
	script := dacapotest.NewScript()
	script.Event("Go", "while it slept", 90*time.Second)
	script.Event("Go", "in its round", 150*time.Second)
	expect(t, script.Run(t, name, nil), []string{"late", "while it slept", "in its round", "late"})
}

func TestFlowsThatWaitForEachOtherFail(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) (int, error) {
		var one, two *dacapo.Task[int]
		one = dacapo.Go(ctx, func() (int, error) { return two.Await() })
		two = dacapo.Go(ctx, func() (int, error) { return one.Await() })
		return one.Await()
	})
	run := dacapotest.NewScript().Run(t, name, nil)
	if run.Failure == nil || run.Failure.Type != "NothingToWaitFor" {
		t.Errorf("got %v", run.Failure)
	}
}

func TestAFailureKeepsItsTypeThroughErrors(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) (int, error) {
		n, err := dacapo.CallActivity[int](ctx, "charge", 5).Await()
		if dacapo.IsFailure(err, "CardDeclined") {
			return n, fmt.Errorf("paying: %w", err)
		}
		return n, err
	})
	script := dacapotest.NewScript()
	script.Activity("charge", &dacapo.Failure{Type: "CardDeclined", Message: "no money", NotRetriable: true})
	failure := script.Run(t, name, nil).Failure
	want := dacapo.Failure{Type: "CardDeclined", Message: "paying: CardDeclined: no money", NotRetriable: true}
	if failure == nil || *failure != want {
		t.Errorf("got %+v", failure)
	}
}

func TestAPanicNamesTheLine(t *testing.T) {
	name := orchestrator(t, func(*dacapo.Context, any) (int, error) {
		var none []int
		return none[3], nil
	})
	failure := dacapotest.NewScript().Run(t, name, nil).Failure
	if failure == nil || failure.Type != "Panic" || !strings.Contains(failure.Message, "index out of range [3]") {
		t.Fatalf("got %+v", failure)
	}
	if first, _, _ := strings.Cut(failure.Details, "\n"); !strings.Contains(first, "dacapo_test.go:") {
		t.Errorf("it says %q", failure.Details)
	}
}

func TestWhatIsNotJSONOrOfAnotherTypeIsAFailure(t *testing.T) {
	name := orchestrator(t, func(*dacapo.Context, int) (any, error) { return make(chan int), nil })
	run := dacapotest.NewScript().Run(t, name, "five")
	if run.Failure == nil || run.Failure.Type != "InvalidInput" || !run.Failure.NotRetriable {
		t.Errorf("got %+v", run.Failure)
	}
	run = dacapotest.NewScript().Run(t, name, 5)
	if run.Failure == nil || run.Failure.Type != "InvalidOutput" {
		t.Errorf("got %+v", run.Failure)
	}
}

type counter struct {
	Value int `json:"value"`
}

func (c *counter) add(ctx *dacapo.EntityContext, amount int) (int, error) {
	if amount < 0 {
		c.Value = -1
		return 0, errors.New("less than nothing")
	}
	c.Value += amount
	return c.Value, ctx.SignalEntity(dacapo.EntityID{Name: "audit", Key: ctx.ID().Key}, "note", c.Value)
}

func init() {
	dacapo.Entity("counter", dacapo.Operation("add", (*counter).add))
	dacapo.Activity("send", func(ctx *dacapo.ActivityContext, address string) (string, error) {
		ctx.Log().Warn("sending", "attempt", ctx.Attempt())
		links, err := ctx.Links(ctx.InstanceID())
		if err != nil || address == "" {
			return "", errors.Join(err, errors.New("nobody to send to"))
		}
		return fmt.Sprintf("%s: %s-%d", address, links.ID, ctx.TaskID()), nil
	})
}

func TestAnActivityKnowsItsCall(t *testing.T) {
	expect(t, dacapotest.RunActivity(t, "send", "ada", 2), "ada: test-0")
	run := dacapotest.RunActivity(t, "send", "", 1)
	if run.Failure == nil || run.Failure.Message != "nobody to send to" || run.Failure.NotRetriable {
		t.Errorf("got %+v", run.Failure)
	}
}

func init() {
	dacapo.Activity("order_all", func(ctx *dacapo.ActivityContext, items []string) ([]string, error) {
		var ids []string
		for _, item := range items {
			id, err := ctx.StartOrchestration("order", item, dacapo.InstanceID("order-"+item), dacapo.Version("2.0"))
			if dacapo.IsFailure(err, "InstanceAlreadyExists") {
				continue
			}
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		report, err := ctx.StartOrchestration("report", len(ids))
		return append(ids, report), err
	})
	dacapo.Activity("stock", func(ctx *dacapo.ActivityContext, item string) (string, error) {
		response, err := ctx.SendHTTP(dacapo.HTTPRequest{URI: "https://example.org/" + item, Timeout: time.Second})
		return fmt.Sprint(response.StatusCode, response.Content), err
	})
}

func TestAnActivityStartsOrchestrations(t *testing.T) {
	script := dacapotest.NewScript()
	script.Client("start-orchestration order", nil, &dacapo.Failure{Type: "InstanceAlreadyExists"}, nil)
	run := script.RunActivity(t, "order_all", []string{"lamp", "desk", "chair"}, 1)
	expect(t, run, []string{"order-lamp", "order-chair", "test:1"})
	asked := []string{
		`start-orchestration order "lamp" as order-lamp version 2.0`,
		`start-orchestration order "desk" as order-desk version 2.0`,
		`start-orchestration order "chair" as order-chair version 2.0`,
		`start-orchestration report 2 as test:1`,
	}
	if !slices.Equal(run.Actions, asked) {
		t.Errorf("it asked for %q", run.Actions)
	}
	script.Client("start-orchestration report", &dacapo.Failure{Type: "OrchestratorNotFound"})
	if run := script.RunActivity(t, "order_all", nil, 1); run.Failure == nil || run.Failure.Type != "OrchestratorNotFound" {
		t.Errorf("got %v", run.Failure)
	}
}

func TestAnActivitySendsHTTP(t *testing.T) {
	script := dacapotest.NewScript()
	script.HTTP(dacapo.HTTPResponse{StatusCode: 202, Content: " later"}, &dacapo.Failure{Type: "HttpRequestFailed"})
	run := script.RunActivity(t, "stock", "lamp", 1)
	expect(t, run, "202 later")
	sent := `send-http {"method":"GET","uri":"https://example.org/lamp","headers":{},"asynchronousPatternEnabled":false,"timeoutMs":1000}`
	if !slices.Equal(run.Actions, []string{sent}) {
		t.Errorf("it asked for %q", run.Actions)
	}
	if run := script.RunActivity(t, "stock", "lamp", 1); run.Failure == nil || run.Failure.Type != "HttpRequestFailed" {
		t.Errorf("got %v", run.Failure)
	}
}

func TestWhatIsNoTextIsNotSent(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) (any, error) {
		return ctx.CallHTTP(dacapo.HTTPRequest{Method: "POST", URI: "https://example.org/", Content: "\xff\xd8"}).Await()
	})
	run := dacapotest.NewScript().Run(t, name, nil)
	if run.Failure == nil || run.Failure.Type != "InvalidInput" || len(run.Actions) > 0 {
		t.Errorf("got %v after %q", run.Failure, run.Actions)
	}
}

func TestRealActivitiesWaitWhileTheOrchestratorGoesOn(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) ([]string, error) {
		stocks := []*dacapo.Task[string]{
			dacapo.CallActivity[string](ctx, "stock", "lamp"),
			dacapo.CallActivity[string](ctx, "stock", "desk"),
		}
		return dacapo.All(ctx, stocks...)
	})
	script := dacapotest.NewScript()
	script.RealActivity("stock")
	script.HTTP(dacapotest.After(time.Minute, dacapo.HTTPResponse{StatusCode: 200, Content: " left"}))
	run := script.Run(t, name, nil)
	expect(t, run, []string{"200 left", "200 left"})
	if run.Elapsed != time.Minute || len(run.Actions) != 4 {
		t.Errorf("it took %v and did %q", run.Elapsed, run.Actions)
	}
}

func TestAnOperationChangesTheState(t *testing.T) {
	id := dacapo.EntityID{Name: "counter", Key: "clicks"}
	run := dacapotest.RunOperation(t, id, "ADD", 2, counter{5})
	expect(t, run, 7)
	if string(run.State) != `{"value":7}` || !slices.Equal(run.Actions, []string{"signal-entity @audit@clicks note 7"}) {
		t.Errorf("it left %s and did %q", run.State, run.Actions)
	}
	if run := dacapotest.RunOperation(t, id, "delete", nil, counter{5}); run.Failure != nil || run.State != nil {
		t.Errorf("got %v, %s", run.Failure, run.State)
	}
	if run := dacapotest.RunOperation(t, id, "add", -2, nil); run.Failure == nil || run.Failure.Message != "less than nothing" {
		t.Errorf("got %v", run.Failure)
	}
	if run := dacapotest.RunOperation(t, id, "halve", nil, nil); run.Failure == nil || run.Failure.Type != "OperationNotFound" {
		t.Errorf("got %v", run.Failure)
	}
}

// The host's own schedule is tested with the same cases.
func TestAttemptsBeginWhenThoseOfTheHostDo(t *testing.T) {
	type policy struct {
		MaxAttempts                         int
		FirstInterval, MaxInterval, Timeout int
		BackoffCoefficient                  float64
		NonRetriableErrorTypes              []string
	}
	var cases []struct {
		What     string
		Policy   policy
		Takes    int
		Failures []string
		Attempts []int
		Succeeds bool
	}
	text, err := os.ReadFile("../tests/retries.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	millis := func(number int) time.Duration { return time.Duration(number) * time.Millisecond }
	name := orchestrator(t, func(ctx *dacapo.Context, of policy) (int, error) {
		policy := dacapo.RetryPolicy{
			MaxAttempts: of.MaxAttempts, FirstInterval: millis(of.FirstInterval), Backoff: of.BackoffCoefficient,
			MaxInterval: millis(of.MaxInterval), Timeout: millis(of.Timeout), NotRetriable: of.NonRetriableErrorTypes,
		}
		return dacapo.CallActivity[int](ctx, "flaky", nil, policy).Await()
	})
	for _, c := range cases {
		script := dacapotest.NewScript()
		var outcomes []any
		for _, failure := range c.Failures {
			outcomes = append(outcomes, dacapotest.After(millis(c.Takes), &dacapo.Failure{Type: failure}))
		}
		script.Activity("flaky", append(outcomes, dacapotest.After(millis(c.Takes), 1))...)
		run := script.Run(t, name, c.Policy)
		if want := millis(c.Attempts[len(c.Attempts)-1] + c.Takes); run.Elapsed != want {
			t.Errorf("%s: it took %v, want %v", c.What, run.Elapsed, want)
		}
		if (run.Failure == nil) != c.Succeeds {
			t.Errorf("%s: got %v", c.What, run.Failure)
		}
	}
}

func TestAllTellsTheFirstFailureOfTheList(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, _ any) ([]int, error) {
		return dacapo.All(ctx,
			dacapo.CallActivity[int](ctx, "good", nil),
			dacapo.CallActivity[int](ctx, "bad", "slow"),
			dacapo.CallActivity[int](ctx, "bad", "quick"))
	})
	script := dacapotest.NewScript()
	script.Activity("good", 1)
	script.Activity("bad", dacapotest.After(time.Hour, errors.New("slow")), errors.New("quick"))
	run := script.Run(t, name, nil)
	if run.Failure == nil || run.Failure.Message != "slow" || run.Elapsed != time.Hour {
		t.Errorf("got %v after %v", run.Failure, run.Elapsed)
	}
}

func TestEverythingElseAnOrchestratorMayDo(t *testing.T) {
	name := orchestrator(t, func(ctx *dacapo.Context, in []string) (any, error) {
		first, second := dacapo.EntityID{Name: "account", Key: "a"}, dacapo.EntityID{Name: "account", Key: "b"}
		ctx.Log().With(slog.Int("cities", len(in))).Info("off", "to", in[0])
		if len(ctx.NewGUID()) != 36 || ctx.Rand().IntN(10) > 9 {
			return nil, errors.New("no chance")
		}
		child, err := dacapo.CallSubOrchestrator[string](ctx, "child", in, dacapo.InstanceID("c-1"), dacapo.Version("2.0")).Await()
		if err != nil {
			return nil, err
		}
		lock, err := ctx.Lock(first, second).Await()
		if err != nil {
			return nil, err
		}
		balance, err := dacapo.CallEntity[int](ctx, first, "get", nil).Await()
		if err != nil || !lock.Unlock() {
			return nil, err
		}
		response, err := ctx.CallHTTP(dacapo.HTTPRequest{URI: "https://example.org/?a&b", Timeout: time.Second}).Await()
		if err != nil {
			return nil, err
		}
		id, err := ctx.StartOrchestration("other", nil)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(
			ctx.SendEvent(id, "Go", child),
			ctx.SignalEntityAt(second, "add", balance, ctx.Now().Add(time.Hour)),
			ctx.SetCustomStatus(response.StatusCode),
			ctx.ContinueAsNew(in[1:]),
		)
	})
	script := dacapotest.NewScript()
	script.SubOrchestrator("child", "grown")
	script.Entity(dacapo.EntityID{Name: "account", Key: "a"}, "get", 7)
	script.HTTP(dacapo.HTTPResponse{StatusCode: 204})
	run := script.Run(t, name, []string{"Tokyo", "Seattle"})
	if run.Failure != nil {
		t.Fatal(run.Failure)
	}
	asked := []string{
		`call-sub-orchestrator child ["Tokyo","Seattle"] as c-1 version 2.0`,
		`lock-entities @account@a @account@b`,
		`call-entity @account@a get null`,
		`unlock-entities`,
		`call-http {"method":"GET","uri":"https://example.org/?a&b","headers":{},"asynchronousPatternEnabled":true,"timeoutMs":1000}`,
		`start-orchestration other null as test:1`,
		`send-event test:1 Go "grown"`,
		`signal-entity @account@b add 7 at 2026-01-01T01:00:00Z`,
		`set-custom-status 204`,
		`continue-as-new ["Seattle"]`,
	}
	for i, action := range run.Actions {
		if i >= len(asked) || action != asked[i] {
			t.Errorf("it asked for %s", action)
		}
	}
}

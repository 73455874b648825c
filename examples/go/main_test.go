package main

import (
	"slices"
	"testing"
	"time"

	"dacapo.dev/sdk/dacapotest"
)

func TestHelloSequenceGreetsOneAfterTheOther(t *testing.T) {
	script := dacapotest.NewScript()
	script.Activity("say_hello", "one", "two", "three")

	run := script.Run(t, "hello_sequence", nil)

	if got := dacapotest.Result[[]string](t, run); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("got %q", got)
	}
	asked := []string{`call-activity say_hello "Tokyo"`, `call-activity say_hello "Seattle"`, `call-activity say_hello "London"`}
	if !slices.Equal(run.Actions, asked) {
		t.Errorf("it asked for %q", run.Actions)
	}
}

func TestFanOutAddsSquares(t *testing.T) {
	script := dacapotest.NewScript()
	script.RealActivity("square")
	if sum := dacapotest.Result[int](t, script.Run(t, "fan_out", 10)); sum != 385 {
		t.Errorf("got %d", sum)
	}
}

func TestApproval(t *testing.T) {
	const minute = 60_000
	for _, test := range []struct {
		name    string
		event   any
		after   time.Duration
		want    string
		elapsed time.Duration
	}{
		{"yes", true, 10 * time.Second, "approved", 10 * time.Second},
		{"no", false, 10 * time.Second, "rejected", 10 * time.Second},
		{"too late", true, time.Hour, "expired", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := dacapotest.NewScript()
			script.Event("Approval", test.event, test.after)
			run := script.Run(t, "approval", minute)
			if got := dacapotest.Result[string](t, run); got != test.want || run.Elapsed != test.elapsed {
				t.Errorf("got %q after %v", got, run.Elapsed)
			}
		})
	}
}

func TestStubbornGivesUpAfterThreeAttempts(t *testing.T) {
	script := dacapotest.NewScript()
	script.RealActivity("flaky")
	if got := dacapotest.Result[any](t, script.Run(t, "stubborn", 3)); got != 3.0 {
		t.Errorf("got %v", got)
	}
	run := script.Run(t, "stubborn", 4)
	if got := dacapotest.Result[any](t, run); got != "gave up: attempt 3 of 4" {
		t.Errorf("got %v", got)
	}
	if run.Elapsed != 30*time.Millisecond {
		t.Errorf("it took %v", run.Elapsed)
	}
}

package main

import (
	"errors"
	"slices"
	"testing"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/dacapotest"
)

func TestAnApprovedOrderIsSent(t *testing.T) {
	script := dacapotest.NewScript()
	script.RealActivity("reserve")
	script.Event("Approval", true, 2*time.Hour)
	check(t, script, "the reservation of a lamp is on its way", 2*time.Hour)
}

func TestWithoutAnAnswerItExpires(t *testing.T) {
	script := dacapotest.NewScript()
	script.RealActivity("reserve")
	check(t, script, "the reservation of a lamp has expired", 72*time.Hour)
}

func TestAReservationIsTriedAgain(t *testing.T) {
	script := dacapotest.NewScript()
	busy := errors.New("try later")
	script.Activity("reserve", busy, busy, "r-17")
	script.Event("Approval", false, 0)
	check(t, script, "r-17 was rejected", (1+2)*time.Second)
}

func TestARequestStartsAnOrder(t *testing.T) {
	run := dacapotest.RunTrigger(t, "start_order", dacapo.HTTPTriggerRequest{Method: "POST", Body: []byte(`"a lamp"`)}, 1)
	if !slices.Equal(run.Actions, []string{`start-orchestration order "a lamp" as test:1`}) || run.Response.Status != 202 {
		t.Errorf("got %+v after %q", run.Response, run.Actions)
	}
}

func TestARequestWithoutAnItemIsRefused(t *testing.T) {
	run := dacapotest.RunTrigger(t, "start_order", dacapo.HTTPTriggerRequest{Method: "POST"}, 1)
	if len(run.Actions) > 0 || run.Response.Status != 400 {
		t.Errorf("got %+v after %q", run.Response, run.Actions)
	}
}

func check(t *testing.T, script *dacapotest.Script, want string, takes time.Duration) {
	t.Helper()
	run := script.Run(t, "order", "a lamp")
	if got := dacapotest.Result[string](t, run); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if run.Elapsed != takes {
		t.Errorf("it took %v, want %v", run.Elapsed, takes)
	}
}

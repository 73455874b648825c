package main

import (
	"errors"
	"testing"
	"time"

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

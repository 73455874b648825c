// Package dacapotest runs the functions of an app without a host, against a script, in an ordinary go test. Time is
// skipped: a timer of three days costs nothing.
//
//	func TestNobodyAnswers(t *testing.T) {
//		script := dacapotest.NewScript()
//		script.Activity("reserve", "reservation 17")
//		script.Event("Approval", true, 96*time.Hour)
//
//		run := script.Run(t, "order", "a lamp")
//
//		if run.Failure == nil || run.Failure.Type != "NotApproved" {
//			t.Errorf("got %v, %v", run.Output, run.Failure)
//		}
//		if run.Elapsed != 72*time.Hour {
//			t.Errorf("it waited for %v", run.Elapsed)
//		}
//	}
package dacapotest

import (
	"encoding/json"
	"testing"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/internal/contract"
)

// A Script is what the world does to one run of an orchestrator or an activity.
//
// Outcomes are values, given one after the other, of which the last one stays; errors, which fail the call; or what
// [After] and [Answer] give.
type Script struct {
	// Start is the time at which the run begins.
	Start time.Time
	// InstanceID is the id of the instance.
	InstanceID string
	// Parent makes the run a sub-orchestration.
	Parent *dacapo.Parent
	// Version is the version label.
	Version string

	answers map[string]*answers
	events  []*event
}

// NewScript is a script in which nothing happens. It begins in 2026.
func NewScript() *Script {
	return &Script{
		Start:      time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC),
		InstanceID: "test",
		answers:    map[string]*answers{},
	}
}

// Activity answers the calls of an activity.
func (s *Script) Activity(name string, outcomes ...any) {
	s.answers["call-activity "+name] = &answers{outcomes: outcomes}
}

// RealActivity answers the calls of activities by running those of the app.
func (s *Script) RealActivity(names ...string) {
	for _, name := range names {
		s.answers["call-activity "+name] = &answers{outcomes: []any{realActivity(name)}}
	}
}

// SubOrchestrator answers the calls of a sub-orchestration.
func (s *Script) SubOrchestrator(name string, outcomes ...any) {
	s.answers["call-sub-orchestrator "+name] = &answers{outcomes: outcomes}
}

// Entity answers the calls of an operation of an entity.
func (s *Script) Entity(id dacapo.EntityID, operation string, outcomes ...any) {
	s.answers["call-entity "+id.String()+" "+operation] = &answers{outcomes: outcomes}
}

// HTTP answers HTTP requests, of orchestrators and of activities, with [dacapo.HTTPResponse] or errors. An [Answer] may
// take the request as a [dacapo.HTTPRequest].
func (s *Script) HTTP(outcomes ...any) {
	s.answers["http"] = &answers{outcomes: outcomes}
}

// StartFromActivity answers the starts of an orchestration by activities: an error fails the start, anything else lets it
// succeed, and so does a script that says nothing.
//
//	script.StartFromActivity("invoice", nil, &dacapo.Failure{Type: "InstanceAlreadyExists"})
func (s *Script) StartFromActivity(name string, outcomes ...any) {
	s.answers["start-orchestration "+name] = &answers{outcomes: outcomes}
}

// Event raises an external event, so long after the start.
func (s *Script) Event(name string, data any, after time.Duration) {
	s.events = append(s.events, &event{name: name, data: encode(data), after: after})
}

// After is an outcome that takes so long.
func After(duration time.Duration, outcome any) any {
	return delayed{duration, outcome}
}

// Answer is an outcome that a function makes of the input.
func Answer[In, Out any](f func(in In) (Out, error)) any {
	return answer(func(_ *host, input string, _ uint32) any {
		var in In
		if err := json.Unmarshal([]byte(input), &in); err != nil {
			return err
		}
		out, err := f(in)
		if err != nil {
			return err
		}
		return out
	})
}

// A Run is what a function did, and how it ended.
type Run struct {
	// Output is what it returned, as JSON; none if it failed.
	Output json.RawMessage
	// Failure is why it failed, or nil.
	Failure *dacapo.Failure
	// Elapsed is how long it would have taken.
	Elapsed time.Duration
	// Actions are what it asked for, in order, by the names of dacapo.wit, with what its real activities asked for, such as
	//
	//	call-activity say_hello "Tokyo"
	//	create-timer 72h0m0s
	//	wait-for-external-event Approval
	//	cancel wait-for-external-event Approval
	//	call-sub-orchestrator child 5 as child-1 version 2.0
	//	signal-entity @account@ada add 5
	//	continue-as-new {"page":2}
	Actions []string
	// State is the state that the operation of an entity leaves, as JSON; nil is none.
	State json.RawMessage
}

// Result decodes what a function returned. The test fails if it has failed.
func Result[R any](t testing.TB, run *Run) R {
	t.Helper()
	var result R
	if run.Failure != nil {
		t.Fatalf("it failed: %v", run.Failure)
	}
	if err := json.Unmarshal(run.Output, &result); err != nil {
		t.Fatalf("its output is not a %T: %v", result, err)
	}
	return result
}

// Run runs an orchestrator of the app.
//
// The test fails at once if the orchestrator asks for something to which the script has no answer, or waits when nothing
// is to come.
func (s *Script) Run(t testing.TB, name string, input any) *Run {
	t.Helper()
	h := newHost(t, s)
	output, failure := find(t, contract.Orchestrator, name).Orchestrate(h, encode(input))
	return h.end(output, failure)
}

// RunActivity runs an activity of the app. It fails at once if the activity sends an HTTP request and the script has no
// answer.
func (s *Script) RunActivity(t testing.TB, name string, input any, attempt int) *Run {
	t.Helper()
	h := newHost(t, s)
	output, failure := find(t, contract.Activity, name).Act(h, h.activityCall(name, encode(input), uint32(attempt)))
	return h.end(output, failure)
}

// RunActivity runs an activity of the app that asks nothing of its host.
func RunActivity(t testing.TB, name string, input any, attempt int) *Run {
	t.Helper()
	return NewScript().RunActivity(t, name, input, attempt)
}

// RunOperation runs one operation of an entity of the app on a state; nil is none.
func RunOperation(t testing.TB, id dacapo.EntityID, operation string, input, state any) *Run {
	t.Helper()
	wanted := contract.EntityOperation{Entity: contract.EntityID(id), Operation: operation, Input: encode(input)}
	if state != nil {
		before := encode(state)
		wanted.State = &before
	}
	h := newHost(t, NewScript())
	result, failure := find(t, contract.Entity, id.Name).Operate(h, wanted)
	run := h.end(result.Output, failure)
	if result.State != nil {
		run.State = json.RawMessage(*result.State)
	}
	return run
}

func find(t testing.TB, kind contract.Kind, name string) contract.Function {
	t.Helper()
	function, failure := contract.Find(kind, name)
	if failure != nil {
		t.Fatal(failure.Message)
	}
	return function
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic("dacapotest: " + err.Error())
	}
	return string(text)
}

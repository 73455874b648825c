// Package dacapotest runs the functions of an app without a host, against a script, in an ordinary go test. Waiting takes
// no real time, whatever the duration.
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

// A Script has the answers and events of one run of an orchestrator, an activity or a trigger.
//
// An outcome is a value, an error, which fails the call, or a result of [After] or [Answer]. Each call takes the next
// outcome; the last one is repeated.
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

// NewScript returns an empty script. It begins in 2026.
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

// Client answers calls of the durable client of activities and triggers whose action begins like this: "get-status order-17",
// or "get-status" for those of all instances; a longer beginning comes before a shorter one.
//
//	script.Client("start-orchestration invoice", nil, &dacapo.Failure{Type: "InstanceAlreadyExists"})
//	script.Client("get-status order-17", dacapo.InstanceStatus{RuntimeStatus: dacapo.StatusRunning})
//	script.Client("get-status", nil) // there is no such instance
//	script.Client("read-entity @account@ada", 7)
//
// Without an answer, what sends something to an instance or an entity, or starts one, succeeds, and links are made up;
// anything else needs an answer.
func (s *Script) Client(call string, outcomes ...any) {
	s.answers["client "+call] = &answers{outcomes: outcomes}
}

// Event raises an external event, a duration after the start.
func (s *Script) Event(name string, data any, after time.Duration) {
	s.events = append(s.events, &event{name: name, data: encode(data), after: after})
}

// After delays an outcome by a duration.
func After(duration time.Duration, outcome any) any {
	return delayed{duration, outcome}
}

// Answer is an outcome that a function computes from the input.
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

// A Run has the actions of a function, and its outcome.
type Run struct {
	// Output is the output as JSON; nil if the function failed.
	Output json.RawMessage
	// Failure is the failure, or nil.
	Failure *dacapo.Failure
	// Elapsed is the duration of the run, on the script's clock.
	Elapsed time.Duration
	// Response is what an HTTP trigger answered; nil if it has no response.
	Response *dacapo.HTTPTriggerResponse
	// Outputs are the messages of a trigger as JSON, by the name of the output binding.
	Outputs map[string][]json.RawMessage
	// Actions are the actions in order, with the names of dacapo.wit, including those of its real activities, such as
	//
	//	call-activity say_hello "Tokyo"
	//	create-timer 72h0m0s
	//	wait-for-external-event Approval
	//	cancel wait-for-external-event Approval
	//	call-sub-orchestrator child 5 as child-1 version 2.0
	//	signal-entity @account@ada add 5
	//	raise-event order-17 Approval true
	//	continue-as-new {"page":2}
	Actions []string
	// State is the state after the operation of an entity, as JSON; nil if there is none.
	State json.RawMessage
}

// Result decodes the output of a function. The test fails if the function has failed.
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
// The test fails at once if the orchestrator makes a call for which the script has no answer, or waits for something that
// never happens in the script.
func (s *Script) Run(t testing.TB, name string, input any) *Run {
	t.Helper()
	h := newHost(t, s)
	output, failure := find(t, contract.Orchestrator, name).Orchestrate(h, encode(input))
	return h.end(output, failure)
}

// RunActivity runs an activity of the app. The test fails at once if the activity sends an HTTP request for which the script
// has no answer.
func (s *Script) RunActivity(t testing.TB, name string, input any, attempt int) *Run {
	t.Helper()
	h := newHost(t, s)
	output, failure := find(t, contract.Activity, name).Act(h, h.activityCall(name, encode(input), uint32(attempt)))
	return h.end(output, failure)
}

// RunActivity runs an activity of the app with an empty script.
func RunActivity(t testing.TB, name string, input any, attempt int) *Run {
	t.Helper()
	return NewScript().RunActivity(t, name, input, attempt)
}

// RunTrigger runs a trigger of the app. The input is what its function takes: a [dacapo.HTTPTriggerRequest], a
// [dacapo.TimerInfo], a [dacapo.QueueMessage], a slice of [dacapo.EventHubEvent] or a [dacapo.EventGridEvent]. Any other value
// is the message or the event itself, as of an operator who runs the trigger.
func (s *Script) RunTrigger(t testing.TB, name string, input any, attempt int) *Run {
	t.Helper()
	h := newHost(t, s)
	trigger := find(t, contract.Trigger, name)
	text, err := trigger.InputOf(input)
	if err != nil {
		t.Fatalf("the input of %s: %v", name, err)
	}
	call := contract.TriggerCall{Name: name, Input: text, InvocationID: s.InstanceID, Attempt: uint32(attempt)}
	run := h.end(trigger.Fire(h, call))
	if run.Failure != nil {
		return run
	}
	returned := new(struct {
		Response *dacapo.HTTPTriggerResponse
		Outputs  map[string][]json.RawMessage
	})
	if err := json.Unmarshal(run.Output, &returned); err != nil {
		t.Fatalf("the output of %s: %v", name, err)
	}
	if returned != nil {
		run.Response, run.Outputs = returned.Response, returned.Outputs
	}
	return run
}

// RunTrigger runs a trigger of the app with an empty script.
func RunTrigger(t testing.TB, name string, input any, attempt int) *Run {
	t.Helper()
	return NewScript().RunTrigger(t, name, input, attempt)
}

// RunOperation runs one operation of an entity of the app on a state; nil means that there is none.
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

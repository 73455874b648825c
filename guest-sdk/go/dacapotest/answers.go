package dacapotest

import (
	"errors"
	"slices"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/internal/contract"
)

// answers holds the outcomes of the calls of one function. The last one is repeated.
type answers struct {
	outcomes []any
}

type delayed struct {
	duration time.Duration
	outcome  any
}

type answer func(h *host, input string, attempt uint32) any

// raw is an output that is JSON already.
type raw string

func realActivity(name string) answer {
	return func(h *host, input string, attempt uint32) any {
		function, failure := contract.Find(contract.Activity, name)
		if failure != nil {
			return publicFailure(failure)
		}
		// The time that the activity waits is its duration; the orchestrator's clock must not advance here.
		began := h.now
		defer func() { h.now = began }()
		output, failure := function.Act(h, h.activityCall(name, input, attempt))
		if failure != nil {
			return delayed{h.now.Sub(began), publicFailure(failure)}
		}
		return delayed{h.now.Sub(began), raw(output)}
	}
}

// next returns the outcome of one attempt, and how long it takes.
func (a *answers) next(h *host, input string, attempt uint32) (outcome *contract.Outcome, takes time.Duration) {
	var given any
	if len(a.outcomes) > 0 {
		given = a.outcomes[0]
	}
	if len(a.outcomes) > 1 {
		a.outcomes = a.outcomes[1:]
	}
	for {
		switch value := given.(type) {
		case delayed:
			given, takes = value.outcome, takes+value.duration
		case answer:
			given = value(h, input, attempt)
		case raw:
			return &contract.Outcome{Output: string(value)}, takes
		case error:
			return &contract.Outcome{Failure: failureOf(value)}, takes
		default:
			return &contract.Outcome{Output: encode(value)}, takes
		}
	}
}

// call returns the outcome of a call, after as many attempts as the policy allows, and how long they take.
func (a *answers) call(h *host, input string, policy *contract.RetryPolicy) (*contract.Outcome, time.Duration) {
	var elapsed, interval time.Duration
	for attempt := uint32(1); ; attempt++ {
		outcome, takes := a.next(h, input, attempt)
		elapsed += takes
		if policy == nil || outcome.Failure == nil || attempt >= policy.MaxAttempts || !isRetriable(outcome.Failure, policy) {
			return outcome, elapsed
		}
		interval = nextInterval(interval, attempt, policy)
		if policy.Timeout > 0 && elapsed+interval >= durationOf(policy.Timeout) {
			return outcome, elapsed
		}
		elapsed += interval
	}
}

func isRetriable(failure *contract.Failure, policy *contract.RetryPolicy) bool {
	return failure.Retriable && !slices.Contains(policy.NotRetriable, failure.Type)
}

func nextInterval(before time.Duration, attempt uint32, policy *contract.RetryPolicy) time.Duration {
	interval := durationOf(policy.FirstInterval)
	if attempt > 1 {
		interval = time.Duration(float64(before) * policy.Backoff)
	}
	if policy.MaxInterval > 0 {
		interval = min(interval, durationOf(policy.MaxInterval))
	}
	return interval
}

func durationOf(milliseconds float64) time.Duration {
	return time.Duration(milliseconds * float64(time.Millisecond))
}

func failureOf(err error) *contract.Failure {
	failure := new(dacapo.Failure)
	if !errors.As(err, &failure) {
		failure = &dacapo.Failure{Type: "Error", Message: err.Error()}
	}
	return &contract.Failure{
		Type:      failure.Type,
		Message:   failure.Message,
		Details:   failure.Details,
		Retriable: !failure.NotRetriable,
	}
}

func publicFailure(f *contract.Failure) *dacapo.Failure {
	return &dacapo.Failure{Type: f.Type, Message: f.Message, Details: f.Details, NotRetriable: !f.Retriable}
}

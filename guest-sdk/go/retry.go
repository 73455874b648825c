package dacapo

import (
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// A RetryPolicy says when and how often a failed activity or sub-orchestration is tried again. It is an option of
// [CallActivity] and [CallSubOrchestrator]. The host keeps the schedule.
type RetryPolicy struct {
	// MaxAttempts counts the first attempt too; at least 1.
	MaxAttempts int
	// FirstInterval lies between the first failure and the second attempt.
	FirstInterval time.Duration
	// Backoff is what each further interval is multiplied by; 0 and 1 keep them equal.
	Backoff float64
	// MaxInterval bounds the intervals, unless it is 0.
	MaxInterval time.Duration
	// Timeout is how long after the start of the first attempt another one may begin, unless it is 0.
	Timeout time.Duration
	// NotRetriable are types of failures that are final at once.
	NotRetriable []string
}

func (p RetryPolicy) toContract() *contract.RetryPolicy {
	backoff := p.Backoff
	if backoff == 0 {
		backoff = 1
	}
	return &contract.RetryPolicy{
		MaxAttempts:   uint32(max(p.MaxAttempts, 0)),
		FirstInterval: milliseconds(p.FirstInterval),
		Backoff:       backoff,
		MaxInterval:   milliseconds(p.MaxInterval),
		Timeout:       milliseconds(p.Timeout),
		NotRetriable:  p.NotRetriable,
	}
}

// milliseconds are whole, as all times of the host.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds())
}

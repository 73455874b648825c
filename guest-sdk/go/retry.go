package dacapo

import (
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// A RetryPolicy says when and how often a failed activity or sub-orchestration is retried. It is an option of
// [CallActivity] and [CallSubOrchestrator]. The host keeps the schedule.
type RetryPolicy struct {
	// MaxAttempts is the maximum number of attempts, including the first one; at least 1.
	MaxAttempts int
	// FirstInterval is the time between the first failure and the second attempt.
	FirstInterval time.Duration
	// Backoff is the factor by which each further interval grows; 0 and 1 keep them equal.
	Backoff float64
	// MaxInterval is the maximum length of an interval; 0 means no limit.
	MaxInterval time.Duration
	// Timeout is how long after the start of the first attempt another one may start; 0 means no limit.
	Timeout time.Duration
	// NotRetriable lists types of failures that are not retried.
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

// milliseconds rounds to whole milliseconds, like all times of the host.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds())
}

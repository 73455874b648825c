package dacapo

import (
	"errors"
	"fmt"
	"go/token"
	"reflect"
	"runtime"
	"strings"

	"dacapo.dev/sdk/internal/contract"
)

// A Failure says why a function did not succeed. It crosses languages: it is what a failed task gives, whatever the
// function is written in, and what a function may return to set every field. Find it with [errors.As].
//
// Any other error that a function returns becomes a failure too: one that wraps a Failure keeps its type and details;
// otherwise the type is the name of the error's type if that is exported, else "Error". A panic is the failure "Panic",
// with the lines of the code in its details.
type Failure struct {
	// Type is a short name that callers match on, such as "InsufficientFunds".
	Type string
	// Message is one sentence for people.
	Message string
	// Details are anything longer: a stack trace, a JSON document.
	Details string
	// NotRetriable says that trying again cannot help: no retry policy retries it.
	NotRetriable bool
}

// Error gives type and message.
func (f *Failure) Error() string {
	return f.Type + ": " + f.Message
}

// IsFailure reports whether an error is, or wraps, a failure of that type.
func IsFailure(err error, failureType string) bool {
	failure := new(Failure)
	return errors.As(err, &failure) && failure.Type == failureType
}

// The types of failures that the SDK makes. Those of the host are listed in dacapo.wit.
const (
	failurePanic             = "Panic"
	failureInvalidInput      = "InvalidInput"
	failureInvalidOutput     = "InvalidOutput"
	failureInvalidEventData  = "InvalidEventData"
	failureOperationNotFound = "OperationNotFound"
	failureNothingToWaitFor  = "NothingToWaitFor"
)

func failureOf(err error) *Failure {
	inner := new(Failure)
	switch {
	case !errors.As(err, &inner):
		return &Failure{Type: errorType(err), Message: err.Error()}
	case err == error(inner):
		return inner
	default:
		return &Failure{Type: inner.Type, Message: err.Error(), Details: inner.Details, NotRetriable: inner.NotRetriable}
	}
}

// errorType names the error's type if others can know it, else that of what it wraps.
func errorType(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		of := reflect.TypeOf(err)
		for of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if token.IsExported(of.Name()) {
			return of.Name()
		}
	}
	return "Error"
}

func (f *Failure) toContract() *contract.Failure {
	return &contract.Failure{Type: f.Type, Message: f.Message, Details: f.Details, Retriable: !f.NotRetriable}
}

func fromContract(f *contract.Failure) *Failure {
	return &Failure{Type: f.Type, Message: f.Message, Details: f.Details, NotRetriable: !f.Retriable}
}

// catchPanic, deferred, makes a failure of a panic.
func catchPanic(err *error) {
	if value := recover(); value != nil {
		*err = &Failure{Type: failurePanic, Message: fmt.Sprint(value), Details: panicStack()}
	}
}

// panicStack tells where the code panicked, innermost call first, without the runtime's part and the SDK's.
func panicStack() string {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(1, counters)])
	var lines []string
	for {
		frame, more := frames.Next()
		if !isPlumbing(frame.Function) {
			lines = append(lines, fmt.Sprintf("at %s (%s:%d)", frame.Function, frame.File, frame.Line))
		}
		if !more {
			return strings.Join(lines, "\n")
		}
	}
}

func isPlumbing(function string) bool {
	for _, prefix := range [...]string{"runtime.", "iter.", "dacapo.dev/sdk.", "dacapo.dev/sdk/internal/"} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

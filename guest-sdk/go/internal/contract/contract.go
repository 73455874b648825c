// Package contract is what the SDK and its host know of each other: the host's calls, and the functions of the app.
// Payloads are JSON texts, moments are milliseconds since 1970, as in dacapo.wit, which says what each call means.
package contract

// A Task is the host's handle of something that completes once.
type Task int32

// A Failure is why something did not succeed.
type Failure struct {
	Type      string
	Message   string
	Details   string // none if empty
	Retriable bool
}

// A RetryPolicy says when something that failed is tried again. Durations are in milliseconds; 0 means no limit.
type RetryPolicy struct {
	MaxAttempts   uint32
	FirstInterval float64
	Backoff       float64
	MaxInterval   float64
	Timeout       float64
	NotRetriable  []string
}

// An EntityID names an entity.
type EntityID struct {
	Name string
	Key  string
}

// An Outcome is how a task ended.
type Outcome struct {
	Output  string
	Failure *Failure // none if it succeeded
}

// A Parent is the instance that called a sub-orchestration.
type Parent struct {
	Name       string
	InstanceID string
}

// A SubOrchestration is a child that is called.
type SubOrchestration struct {
	Name       string
	Input      string
	InstanceID string // that the host derives if it is empty
	Version    string // none is asked for if it is empty
	Retry      *RetryPolicy
}

// A Start is an orchestration that an activity starts.
type Start struct {
	Name       string
	Input      string
	InstanceID string // that the host derives if it is empty
	Version    string // none is asked for if it is empty
}

// A Host carries out what functions ask for. One is the real host, beyond the border of the wasm module; one plays the
// script of a test.
type Host interface {
	// Wait blocks until one of the tasks has completed, and returns the indexes of all that have, the first one first.
	Wait(tasks []Task) []int
	// Outcome is how a task ended; none while it has not.
	Outcome(task Task) *Outcome
	// Cancel gives up a timer or a wait for an event.
	Cancel(task Task) bool

	CallActivity(name, input string, retry *RetryPolicy) Task
	CallSubOrchestrator(child SubOrchestration) Task
	CreateTimer(fireAt float64) Task
	WaitForExternalEvent(name string) Task
	CallEntity(entity EntityID, operation, input string) Task
	LockEntities(entities []EntityID) Task
	UnlockEntities() bool
	CallHTTP(request string) Task

	// StartOrchestration lets the host derive the instance id if it is empty.
	StartOrchestration(name, input, instanceID string) string
	SendEvent(instanceID, name, data string)
	// SignalEntity delivers at once if there is no moment.
	SignalEntity(entity EntityID, operation, input string, deliverAt *float64)
	ContinueAsNew(input string)
	SetCustomStatus(status string)

	InstanceID() string
	ExecutionID() string
	Parent() *Parent
	Version() string
	CurrentTime() float64
	NewGUID() string
	RandomBytes(length int) []byte
	IsReplaying() bool

	Links(instanceID string) string
	// StartFromActivity returns the instance id.
	StartFromActivity(start Start) (string, *Failure)
	// SendHTTP waits for the response.
	SendHTTP(request string) (string, *Failure)

	Log(level Level, message string)
}

// A Level says how much a log line matters.
type Level int32

// The levels, as the contract numbers them.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

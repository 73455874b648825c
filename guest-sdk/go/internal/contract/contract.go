// Package contract is the interface between the SDK and its host: the host's calls, and the functions of the app.
// Payloads are JSON texts, times are milliseconds since 1970, as in dacapo.wit, which documents each call.
package contract

// A Task is the host's handle of something that completes once.
type Task int32

// A Failure says why a function did not succeed.
type Failure struct {
	Type      string
	Message   string
	Details   string // none if empty
	Retriable bool
}

// A RetryPolicy says when and how often a failed call is retried. Durations are in milliseconds; 0 means no limit.
type RetryPolicy struct {
	MaxAttempts   uint32
	FirstInterval float64
	Backoff       float64
	MaxInterval   float64
	Timeout       float64
	NotRetriable  []string
}

// An EntityID is the id of an entity.
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

// A SubOrchestration is a call of a child.
type SubOrchestration struct {
	Name       string
	Input      string
	InstanceID string // empty: the host derives one
	Version    string // empty: no version is requested
	Retry      *RetryPolicy
}

// A Start is an orchestration that the durable client starts.
type Start struct {
	Name       string
	Input      string
	InstanceID string   // empty: the host derives one
	Version    string   // empty: no version is requested
	StartAt    *float64 // nil: at once
}

// A Host executes the calls of functions. There are two: the real host, outside of the wasm module, and the test double that
// plays a script.
type Host interface {
	// Wait blocks until a task has completed, and returns the indexes of the completed ones in the order of completion.
	Wait(tasks []Task) []int
	// Outcome returns how a task ended, or nil if it has not.
	Outcome(task Task) *Outcome
	// Cancel cancels a timer or a wait for an event.
	Cancel(task Task) bool

	CallActivity(name, input string, retry *RetryPolicy) Task
	CallSubOrchestrator(child SubOrchestration) Task
	CreateTimer(fireAt float64) Task
	WaitForExternalEvent(name string) Task
	CallEntity(entity EntityID, operation, input string) Task
	LockEntities(entities []EntityID) Task
	UnlockEntities() bool
	CallHTTP(request string) Task

	// StartOrchestration returns the instance id, which the host derives if the given one is empty.
	StartOrchestration(name, input, instanceID string) string
	SendEvent(instanceID, name, data string)
	// SignalEntity delivers at once if deliverAt is nil.
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

	Client

	// SendHTTP waits for the response.
	SendHTTP(request string) (string, *Failure)

	Log(level Level, message string)
}

// A Client is the durable client of activities and triggers. Options, filters and most results are JSON objects.
type Client interface {
	// ClientStart returns the instance id.
	ClientStart(start Start) (string, *Failure)
	// GetStatus returns null if there is no such instance.
	GetStatus(instanceID, options string) (string, *Failure)
	ListInstances(filter string) (string, *Failure)
	RaiseEvent(instanceID, name, data string) *Failure
	Terminate(instanceID, reason string) *Failure
	Suspend(instanceID, reason string) *Failure
	Resume(instanceID, reason string) *Failure
	Rewind(instanceID, reason string) *Failure
	// Restart returns the id of the new instance, which the host generates if the given one is empty.
	Restart(instanceID, newInstanceID string) (string, *Failure)
	// Purge returns whether there was such an instance.
	Purge(instanceID string) (bool, *Failure)
	// PurgeInstances returns how many there were.
	PurgeInstances(filter string) (uint32, *Failure)
	// WaitForCompletion returns the status, or null if there is no such instance.
	WaitForCompletion(instanceID string, timeout float64) (string, *Failure)
	// ClientSignal delivers at once if deliverAt is nil.
	ClientSignal(entity EntityID, operation, input string, deliverAt *float64) *Failure
	// Enqueue delivers at once if deliverAt is nil.
	Enqueue(queue string, messages []string, deliverAt *float64) *Failure
	// ReadEntity returns the state, or nil if there is none.
	ReadEntity(entity EntityID) (*string, *Failure)
	ListEntities(filter string) (string, *Failure)
	Links(instanceID string) (string, *Failure)
}

// A Level is the severity of a log line.
type Level int32

// The levels, as the contract numbers them.
const (
	LevelTrace Level = iota
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
)

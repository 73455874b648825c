package dacapo

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// A Context is the context of an orchestrator. On replay its methods return the same values again.
type Context struct {
	effects
	run *run
}

func newContext(r *run) *Context {
	return &Context{effects{r.host}, r}
}

// effects has the methods that orchestrators and entities share, none of which waits.
type effects struct {
	host contract.Host
}

// CallActivity schedules an activity. If the activity fails, awaiting the task returns a [*Failure].
func CallActivity[R any](ctx *Context, name string, input any, options ...ActivityOption) *Task[R] {
	text, err := encodeInput(input)
	if err != nil {
		return failed[R](ctx, err)
	}
	var with call
	for _, option := range options {
		option.callActivity(&with)
	}
	task := ctx.host.CallActivity(name, text, with.retry)
	return scheduled[R](ctx, task, failureInvalidOutput, "the output of `"+name+"`")
}

// CallSubOrchestrator schedules a child orchestration. It fails with "InstanceAlreadyExists" if a live instance has the
// requested [InstanceID], and with "VersionMismatch" if no deployed version matches the requested [Version].
//
//	id := dacapo.InstanceID("invoice-" + order.ID)
//	invoice, err := dacapo.CallSubOrchestrator[Invoice](ctx, "invoice", order, id, dacapo.Version("2.0")).Await()
func CallSubOrchestrator[R any](ctx *Context, name string, input any, options ...SubOrchestratorOption) *Task[R] {
	text, err := encodeInput(input)
	if err != nil {
		return failed[R](ctx, err)
	}
	var with call
	for _, option := range options {
		option.callSubOrchestrator(&with)
	}
	task := ctx.host.CallSubOrchestrator(contract.SubOrchestration{
		Name:       name,
		Input:      text,
		InstanceID: with.instanceID,
		Version:    with.version,
		Retry:      with.retry,
	})
	return scheduled[R](ctx, task, failureInvalidOutput, "the output of `"+name+"`")
}

// WaitForExternalEvent waits for the next unread event of that name (compared ignoring case). Earlier events are kept. An
// event goes to a task that is awaited, and if there are several to the oldest; a task that lost a race takes no event.
// [Task.AwaitFor] limits the wait.
func WaitForExternalEvent[R any](ctx *Context, name string) *Task[R] {
	task := scheduled[R](ctx, ctx.host.WaitForExternalEvent(name), failureInvalidEventData, "the data of the event `"+name+"`")
	task.pending.event = true
	return task
}

// CreateTimer schedules a timer. Any duration is possible, even years.
func (ctx *Context) CreateTimer(duration time.Duration) *Timer {
	return ctx.createTimer(ctx.host.CurrentTime() + milliseconds(duration))
}

// CreateTimerAt schedules a timer that fires at a point in time, or at once if that has passed.
func (ctx *Context) CreateTimerAt(fireAt time.Time) *Timer {
	return ctx.createTimer(float64(fireAt.UnixMilli()))
}

func (ctx *Context) createTimer(fireAt float64) *Timer {
	return scheduled[struct{}](ctx, ctx.host.CreateTimer(fireAt), failureInvalidOutput, "the output of a timer")
}

// Sleep waits for a duration, with a durable timer.
func (ctx *Context) Sleep(duration time.Duration) error {
	_, err := ctx.CreateTimer(duration).Await()
	return err
}

// ContinueAsNew restarts the orchestration with a new input and an empty history, once the orchestrator returns. Its output
// is ignored then, but an error still fails the instance. Unread events are kept.
func (ctx *Context) ContinueAsNew(input any) error {
	text, err := encodeInput(input)
	if err == nil {
		ctx.host.ContinueAsNew(text)
	}
	return err
}

// SetCustomStatus replaces the custom status, which status queries return: any JSON of at most 16 KiB.
func (ctx *Context) SetCustomStatus(status any) error {
	text, err := encodeInput(status)
	if err == nil {
		ctx.host.SetCustomStatus(text)
	}
	return err
}

// A Parent is the instance that called a sub-orchestration.
type Parent struct {
	Name       string
	InstanceID string
}

// Parent returns the parent of a sub-orchestration, or nil for another orchestration.
func (ctx *Context) Parent() *Parent {
	return (*Parent)(ctx.host.Parent())
}

// ExecutionID is the id of this execution. Continue-as-new begins a new one.
func (ctx *Context) ExecutionID() string { return ctx.host.ExecutionID() }

// Version is the version label that the instance was started with, or empty.
func (ctx *Context) Version() string { return ctx.host.Version() }

// IsReplaying reports whether the code is being replayed. For diagnostics only: a decision that depends on it diverges.
func (ctx *Context) IsReplaying() bool { return ctx.host.IsReplaying() }

// InstanceID is the id of this instance.
func (ctx *effects) InstanceID() string { return ctx.host.InstanceID() }

// Now is the current time. It does not advance between waits, and is the same on replay.
func (ctx *effects) Now() time.Time {
	return time.UnixMilli(int64(ctx.host.CurrentTime())).UTC()
}

// NewGUID returns a new unique id, the same on replay.
func (ctx *effects) NewGUID() string { return ctx.host.NewGUID() }

// Rand returns a source of random numbers, the same on replay. Not for secrets.
func (ctx *effects) Rand() *rand.Rand { return rand.New(source{ctx.host}) }

type source struct{ host contract.Host }

func (s source) Uint64() uint64 {
	return binary.LittleEndian.Uint64(s.host.RandomBytes(8))
}

// StartOrchestration starts an orchestration that runs on its own, and returns its instance id.
func (ctx *effects) StartOrchestration(name string, input any, options ...StartOption) (string, error) {
	text, err := encodeInput(input)
	if err != nil {
		return "", err
	}
	var with call
	for _, option := range options {
		option.startOrchestration(&with)
	}
	return ctx.host.StartOrchestration(name, text, with.instanceID), nil
}

// SendEvent raises an external event for another instance. If that does not exist, the event is dropped.
func (ctx *effects) SendEvent(instanceID, name string, data any) error {
	text, err := encodeInput(data)
	if err == nil {
		ctx.host.SendEvent(instanceID, name, text)
	}
	return err
}

package dacapo

import (
	"errors"
	"slices"
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// A Task is something that was scheduled and completes once, with an R or an error: the call of an activity, a timer, a
// wait for an event, a function started by [Go]. It runs while the orchestrator does something else.
type Task[R any] struct {
	ctx     *Context
	pending pending
	result  func() (R, error) // valid once it is done
}

// A Timer is a task that completes at a point in time.
type Timer = Task[struct{}]

// Awaitable is a [Task] with any type of result.
type Awaitable interface {
	pend() *pending
}

func (t *Task[R]) pend() *pending {
	return &t.pending
}

// ErrTimedOut is the error of [Task.AwaitFor] when the time is up.
var ErrTimedOut = errors.New("timed out")

// Await waits for the task and returns its result. It may be called again.
//
// The error of a failed activity or sub-orchestration is a [*Failure].
func (t *Task[R]) Await() (R, error) {
	t.ctx.run.waitAll([]*pending{&t.pending})
	return t.result()
}

// AwaitFor waits with a timeout, after which it cancels the task as [Task.Cancel] does and returns [ErrTimedOut].
func (t *Task[R]) AwaitFor(timeout time.Duration) (R, error) {
	timer := t.ctx.CreateTimer(timeout)
	if t.ctx.Any(t, timer) == 0 {
		timer.Cancel()
		return t.result()
	}
	// If the task completed together with the timer, return its result: an event that was taken would be lost otherwise.
	if !t.Cancel() && t.IsDone() {
		return t.result()
	}
	var none R
	return none, ErrTimedOut
}

// IsDone reports whether the task has completed. It does not wait.
func (t *Task[R]) IsDone() bool {
	if !t.pending.done && t.pending.host {
		t.pending.done = t.ctx.run.host.Outcome(t.pending.task) != nil
	}
	return t.pending.done
}

// Cancel cancels a timer or a wait for an event: the task completes with the failure "Canceled", and a later event is kept
// for the next wait. It returns false, and does nothing, for other kinds of tasks and for completed tasks.
//
// A timer that is no longer needed should be cancelled; otherwise it fires, which costs a turn.
func (t *Task[R]) Cancel() bool {
	return t.pending.host && t.ctx.run.host.Cancel(t.pending.task)
}

// Any waits for the first of several tasks to complete and returns its index. The others continue.
//
// A [Timer] that lost should be cancelled.
func (ctx *Context) Any(tasks ...Awaitable) int {
	if len(tasks) == 0 {
		panic("dacapo: Any was called without a task")
	}
	on := make([]*pending, len(tasks))
	for i, task := range tasks {
		on[i] = task.pend()
	}
	return slices.Index(on, ctx.run.waitFirst(on))
}

// All waits until all tasks have completed and returns their results, in the order of the tasks. If some failed, it returns
// the error of the first of them in the list; [Task.Await] returns those of the others.
func All[R any](ctx *Context, tasks ...*Task[R]) ([]R, error) {
	on := make([]*pending, len(tasks))
	for i, task := range tasks {
		on[i] = &task.pending
	}
	ctx.run.waitAll(on)
	results := make([]R, len(tasks))
	for i, task := range tasks {
		result, err := task.result()
		if err != nil {
			return nil, err
		}
		results[i] = result
	}
	return results, nil
}

// Go runs a function concurrently with the orchestrator and returns a task with its result. Only one function runs at a
// time, until it waits for a task, so they can share variables without locks, and their order is the same on replay.
//
// Use it instead of the go statement for functions that await tasks; a goroutine must not await one. When the orchestrator
// returns, functions that it has not awaited are abandoned.
func Go[R any](ctx *Context, f func() (R, error)) *Task[R] {
	task := &Task[R]{ctx: ctx}
	var result R
	var err error
	task.result = func() (R, error) { return result, err }
	ctx.run.start(func() {
		defer ctx.run.finish(&task.pending)
		defer catchPanic(&err)
		result, err = f()
	})
	return task
}

// scheduled makes a task of a host task whose output is an R. A failure to decode it names the output as what.
func scheduled[R any](ctx *Context, task contract.Task, failureType, what string) *Task[R] {
	return translated(ctx, task, func(output string) (R, error) { return decode[R](output, failureType, what) })
}

// translated makes a task of a host task whose output translate converts.
func translated[R any](ctx *Context, task contract.Task, translate func(output string) (R, error)) *Task[R] {
	t := &Task[R]{ctx: ctx, pending: pending{host: true, task: task}}
	t.result = func() (R, error) {
		outcome := ctx.run.host.Outcome(task)
		if outcome.Failure != nil {
			var none R
			return none, fromContract(outcome.Failure)
		}
		return translate(outcome.Output)
	}
	return t
}

// failed makes a task that could not be scheduled.
func failed[R any](ctx *Context, err error) *Task[R] {
	return &Task[R]{ctx: ctx, pending: pending{done: true}, result: func() (none R, _ error) { return none, err }}
}

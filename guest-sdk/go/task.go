package dacapo

import (
	"errors"
	"slices"
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// A Task is something that was scheduled and completes once, with an R or an error: the call of an activity, a timer, an
// event that is waited for, a function that was started by [Go]. It runs while the orchestrator does something else.
type Task[R any] struct {
	ctx     *Context
	pending pending
	result  func() (R, error) // once it is done
}

// A Timer is a task that completes at a moment.
type Timer = Task[struct{}]

// Awaitable is any [Task], of whatever result.
type Awaitable interface {
	pend() *pending
}

func (t *Task[R]) pend() *pending {
	return &t.pending
}

// ErrTimedOut is the error of [Task.AwaitFor] when the time is up.
var ErrTimedOut = errors.New("timed out")

// Await waits for the task and gives its result. It may be called again.
//
// What an activity or sub-orchestration fails with is a [*Failure].
func (t *Task[R]) Await() (R, error) {
	t.ctx.run.waitAll([]*pending{&t.pending})
	return t.result()
}

// AwaitFor waits so long at most, then gives the task up as [Task.Cancel] does and returns [ErrTimedOut].
func (t *Task[R]) AwaitFor(timeout time.Duration) (R, error) {
	timer := t.ctx.CreateTimer(timeout)
	if t.ctx.Any(t, timer) == 0 {
		timer.Cancel()
		return t.result()
	}
	// What completed together with the timer is not lost: an event that was taken could not be waited for again.
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

// Cancel gives up a timer or a wait for an event: the task completes with the failure "Canceled", and an event that comes
// later stays for the next wait. It returns false, and does nothing, for other tasks and for what has completed already.
//
// A timer that is no longer needed should be cancelled; otherwise it fires, which costs a turn.
func (t *Task[R]) Cancel() bool {
	return t.pending.host && t.ctx.run.host.Cancel(t.pending.task)
}

// Any waits for the first of several tasks and returns its index. The others go on.
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

// All waits until all tasks have completed and returns their results, in the order of the tasks. If some failed, the
// error is that of the first of these in the list; the others' are found with [Task.Await].
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

// Go starts a function beside the orchestrator and returns a task with its result. The functions take turns: one goes on
// until it waits for a task, so they share variables without locks, and always in the same order.
//
// Use it in place of the go statement wherever tasks are awaited; a goroutine must not await one. What the orchestrator
// does not wait for ends with it, where it stands.
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

// scheduled is a task of the host. What its output is called stands in the failure, if it is no R.
func scheduled[R any](ctx *Context, task contract.Task, failureType, what string) *Task[R] {
	return translated(ctx, task, func(output string) (R, error) { return decode[R](output, failureType, what) })
}

// translated is a task of the host whose result is made of its output.
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

// failed is a task that could not be scheduled.
func failed[R any](ctx *Context, err error) *Task[R] {
	return &Task[R]{ctx: ctx, pending: pending{done: true}, result: func() (none R, _ error) { return none, err }}
}

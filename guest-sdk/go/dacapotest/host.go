package dacapotest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// host plays a script. When the orchestrator waits, the clock jumps to the next event or outcome.
type host struct {
	t       testing.TB
	script  *Script
	now     time.Time
	actions []string
	tasks   []*task
	events  []*event // unread, in order
	random  *rand.Rand
	started int
}

// task is a scheduled task, and its completion.
type task struct {
	action  string
	due     *time.Time // nil if it does not complete by itself
	outcome *contract.Outcome
	done    bool
	event   string // the name of the event that it waits for
	came    *event // the event that it got
	taken   bool   // whether it keeps that event
	made    time.Time
	isTimer bool
}

type event struct {
	name  string
	data  string
	after time.Duration
}

func newHost(t testing.TB, script *Script) *host {
	h := &host{t: t, script: script, now: script.Start, random: rand.New(rand.NewPCG(0, 0))}
	h.events = slices.Clone(script.events)
	slices.SortStableFunc(h.events, func(a, b *event) int { return cmp.Compare(a.after, b.after) })
	return h
}

func (h *host) end(output string, failure *contract.Failure) *Run {
	run := &Run{Elapsed: h.now.Sub(h.script.Start), Actions: h.actions}
	if failure != nil {
		run.Failure = publicFailure(failure)
	} else {
		run.Output = json.RawMessage(output)
	}
	return run
}

func (h *host) act(parts ...string) string {
	action := strings.Join(parts, " ")
	h.actions = append(h.actions, action)
	return action
}

func (h *host) schedule(task *task) contract.Task {
	h.tasks = append(h.tasks, task)
	return contract.Task(len(h.tasks) - 1)
}

func (h *host) completeAt(due time.Time, action string, outcome *contract.Outcome) contract.Task {
	return h.schedule(&task{action: action, due: &due, outcome: outcome})
}

// call schedules a call, with the script's answer for the function.
func (h *host) call(function, input, action string, policy *contract.RetryPolicy) contract.Task {
	outcome, takes := h.answersTo(function, action).call(h, input, policy)
	return h.completeAt(h.now.Add(takes), action, outcome)
}

func (h *host) answersTo(function, action string) *answers {
	answers := h.script.answers[function]
	if answers == nil {
		h.t.Fatalf("the script has no answer to: %s", action)
	}
	return answers
}

func (h *host) activityCall(name, input string, attempt uint32) contract.ActivityCall {
	return contract.ActivityCall{Name: name, Input: input, InstanceID: h.script.InstanceID, Attempt: attempt}
}

func (h *host) Wait(tasks []contract.Task) []int {
	h.deliver(tasks)
	soonest := h.soonest(tasks)
	if soonest.After(h.now) {
		h.now = soonest
	}
	for _, task := range h.tasks {
		task.done = task.done || task.due != nil && !task.due.After(h.now)
	}
	var done []int
	for i, handle := range tasks {
		if h.tasks[handle].done {
			done = append(done, i)
		}
	}
	slices.SortStableFunc(done, func(a, b int) int { return h.tasks[tasks[a]].due.Compare(*h.tasks[tasks[b]].due) })
	h.tasks[tasks[done[0]]].taken = true
	return done
}

func (h *host) soonest(tasks []contract.Task) time.Time {
	var soonest *time.Time
	var waiting []string
	for _, handle := range tasks {
		task := h.tasks[handle]
		waiting = append(waiting, task.action)
		if task.due != nil && (soonest == nil || task.due.Before(*soonest)) {
			soonest = task.due
		}
	}
	if soonest == nil {
		h.t.Fatalf("the script has ended, but the orchestrator still waits for: %s", strings.Join(waiting, ", "))
	}
	return *soonest
}

func (h *host) Outcome(handle contract.Task) *contract.Outcome {
	task := h.tasks[handle]
	if task.event != "" && task.came == nil {
		h.give(task)
		task.done = task.due != nil && !task.due.After(h.now)
		if !task.done {
			h.putBack(task)
		}
	}
	if !task.done {
		return nil
	}
	task.taken = true
	return task.outcome
}

func (h *host) Cancel(handle contract.Task) bool {
	task := h.tasks[handle]
	if task.done || !task.isTimer && task.event == "" {
		return false
	}
	h.act("cancel", task.action)
	h.putBack(task)
	now := h.now
	task.event, task.due, task.done = "", &now, true
	task.outcome = &contract.Outcome{Failure: &contract.Failure{Type: "Canceled", Message: "the task was canceled"}}
	return true
}

func (h *host) CallActivity(name, input string, policy *contract.RetryPolicy) contract.Task {
	return h.call("call-activity "+name, input, h.act("call-activity", name, input), policy)
}

func (h *host) CallSubOrchestrator(child contract.SubOrchestration) contract.Task {
	parts := []string{"call-sub-orchestrator", child.Name, child.Input}
	parts = append(parts, given("as", child.InstanceID)...)
	action := h.act(append(parts, given("version", child.Version)...)...)
	return h.call("call-sub-orchestrator "+child.Name, child.Input, action, child.Retry)
}

// given returns the words of an action for an option, if it is set.
func given(option, value string) []string {
	if value == "" {
		return nil
	}
	return []string{option, value}
}

func (h *host) CallEntity(entity contract.EntityID, operation, input string) contract.Task {
	function := fmt.Sprintf("call-entity %s %s", nameOf(entity), operation)
	return h.call(function, input, h.act(function, input), nil)
}

func nameOf(entity contract.EntityID) string {
	return "@" + entity.Name + "@" + entity.Key
}

func (h *host) CallHTTP(request string) contract.Task {
	return h.call("http", request, h.act("call-http", request), nil)
}

func (h *host) CreateTimer(fireAt float64) contract.Task {
	due := time.UnixMilli(int64(fireAt))
	action := h.act("create-timer", due.Sub(h.now).String())
	return h.schedule(&task{action: action, due: &due, outcome: &contract.Outcome{Output: "null"}, isTimer: true})
}

func (h *host) WaitForExternalEvent(name string) contract.Task {
	action := h.act("wait-for-external-event", name)
	return h.schedule(&task{action: action, event: name, made: h.now})
}

// deliver gives events to the waits that are asked for, the oldest first. Before that it puts back the events that other waits
// got and have not taken.
func (h *host) deliver(asked []contract.Task) {
	isAsked := func(handle int) bool { return slices.Contains(asked, contract.Task(handle)) }
	for handle, task := range h.tasks {
		if !task.taken && !isAsked(handle) {
			h.putBack(task)
		}
	}
	for handle, task := range h.tasks {
		if task.event != "" && task.came == nil && isAsked(handle) {
			h.give(task)
		}
	}
}

// give gives a wait the first unread event with its name, if there is one.
func (h *host) give(task *task) {
	index := slices.IndexFunc(h.events, func(event *event) bool { return strings.EqualFold(task.event, event.name) })
	if index < 0 {
		return
	}
	task.came = h.events[index]
	h.events = slices.Delete(h.events, index, index+1)
	due := h.script.Start.Add(task.came.after)
	if due.Before(task.made) {
		due = task.made
	}
	task.due, task.outcome = &due, &contract.Outcome{Output: task.came.data}
}

func (h *host) putBack(task *task) {
	if task.came == nil {
		return
	}
	h.events = append(h.events, task.came)
	slices.SortStableFunc(h.events, func(a, b *event) int { return cmp.Compare(a.after, b.after) })
	task.came, task.due, task.outcome, task.done = nil, nil, nil, false
}

func (h *host) LockEntities(entities []contract.EntityID) contract.Task {
	parts := []string{"lock-entities"}
	for _, entity := range entities {
		parts = append(parts, nameOf(entity))
	}
	return h.completeAt(h.now, h.act(parts...), &contract.Outcome{Output: "null"})
}

func (h *host) UnlockEntities() bool {
	h.act("unlock-entities")
	return true
}

func (h *host) StartOrchestration(name, input, id string) string {
	id = h.idOfStarted(id)
	h.act("start-orchestration", name, input, "as", id)
	return id
}

func (h *host) idOfStarted(wanted string) string {
	if wanted != "" {
		return wanted
	}
	h.started++
	return fmt.Sprintf("%s:%d", h.script.InstanceID, h.started)
}

func (h *host) SendEvent(instanceID, name, data string) {
	h.act("send-event", instanceID, name, data)
}

func (h *host) SignalEntity(entity contract.EntityID, operation, input string, deliverAt *float64) {
	h.act(signalOf(entity, operation, input, deliverAt)...)
}

func signalOf(entity contract.EntityID, operation, input string, deliverAt *float64) []string {
	return append([]string{"signal-entity", nameOf(entity), operation, input}, at(deliverAt)...)
}

// at returns the words of an action for a point in time, if there is one.
func at(moment *float64) []string {
	if moment == nil {
		return nil
	}
	return []string{"at", time.UnixMilli(int64(*moment)).UTC().Format(time.RFC3339)}
}

func (h *host) ContinueAsNew(input string)    { h.act("continue-as-new", input) }
func (h *host) SetCustomStatus(status string) { h.act("set-custom-status", status) }

func (h *host) InstanceID() string       { return h.script.InstanceID }
func (h *host) ExecutionID() string      { return "execution" }
func (h *host) Parent() *contract.Parent { return (*contract.Parent)(h.script.Parent) }
func (h *host) Version() string          { return h.script.Version }
func (h *host) CurrentTime() float64     { return float64(h.now.UnixMilli()) }
func (h *host) IsReplaying() bool        { return false }

func (h *host) NewGUID() string {
	b := h.RandomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (h *host) RandomBytes(length int) []byte {
	bytes := make([]byte, length)
	for i := range bytes {
		bytes[i] = byte(h.random.Uint32())
	}
	return bytes
}

func (h *host) SendHTTP(request string) (string, *contract.Failure) {
	outcome := h.sleepThrough(h.answersTo("http", h.act("send-http", request)), request)
	return outcome.Output, outcome.Failure
}

// sleepThrough returns an answer for an activity, after advancing the clock by the time that it takes.
func (h *host) sleepThrough(answers *answers, input string) *contract.Outcome {
	outcome, takes := answers.call(h, input, nil)
	h.now = h.now.Add(takes)
	return outcome
}

func (h *host) Log(level contract.Level, message string) {
	h.t.Logf("%s: %s", [...]string{"trace", "debug", "info", "warn", "error"}[level], message)
}

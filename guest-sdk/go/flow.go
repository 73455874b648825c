package dacapo

import (
	"iter"
	"slices"

	"dacapo.dev/sdk/internal/contract"
)

// A run is one run of an orchestrator: its flows, one of which runs at a time.
//
// A flow is the orchestrator itself or a function passed to Go. It is a coroutine, not a goroutine of its own: it runs when
// the run resumes it and yields only where it waits, so the order is the same on replay. When all flows wait, the run calls
// the host's wait once for all of them.
type run struct {
	host    contract.Host
	current *flow
	ready   []*flow // in the order in which the tasks that they waited for completed
	parked  []*park // some may be over
}

type flow struct {
	resume func() (struct{}, bool)
	yield  func(struct{}) bool
}

// A pending is something that completes once: a task of the host, or a flow.
type pending struct {
	host    bool
	task    contract.Task // of the host
	done    bool          // as far as the run knows
	event   bool          // a wait for an event
	waiters []*park       // of a flow
}

// A park is a waiting flow, which waits for the first of several things or for all of them.
type park struct {
	flow  *flow
	all   bool
	on    []*pending
	left  int      // the number that must still complete before the flow is resumed
	woken *pending // the last one that completed
}

// orchestrate runs the function of an orchestrator to its end. Flows that it did not wait for are not resumed, not even for
// their deferred calls, which would run after the end.
func orchestrate(host contract.Host, body func(ctx *Context) (string, error)) (output string, err error) {
	r := &run{host: host}
	ended := false
	r.start(func() {
		output, err = body(newContext(r))
		ended = true
	})
	for !ended {
		if len(r.ready) == 0 && !r.wait() {
			return "", &Failure{
				Type:         failureNothingToWaitFor,
				Message:      "the flows of the orchestrator wait for each other, and for nothing that the host knows",
				NotRetriable: true,
			}
		}
		r.current, r.ready = r.ready[0], r.ready[1:]
		r.current.resume()
	}
	return output, err
}

// start makes a flow and adds it to the ready ones.
func (r *run) start(body func()) {
	f := new(flow)
	f.resume, _ = iter.Pull(func(yield func(struct{}) bool) {
		f.yield = yield
		body()
	})
	r.ready = append(r.ready, f)
}

// wait blocks until the host has made at least one flow ready. It returns false if no flow waits for the host.
func (r *run) wait() bool {
	r.parked = slices.DeleteFunc(r.parked, (*park).isOver)
	for len(r.ready) == 0 {
		var tasks []contract.Task
		var waited []*pending
		var parks []*park
		for _, p := range r.parked {
			for _, on := range p.on {
				if on.host && !(p.all && on.done) {
					tasks, waited, parks = append(tasks, on.task), append(waited, on), append(parks, p)
				}
			}
		}
		if len(tasks) == 0 {
			return false
		}
		for _, index := range r.host.Wait(tasks) {
			// An event of a wait that lost a race is not taken: the next wait for its name gets it.
			waited[index].done = waited[index].done || !waited[index].event || !parks[index].isOver()
			r.completed(parks[index], waited[index])
		}
	}
	return true
}

func (p *park) isOver() bool {
	return p.left == 0
}

// completed records that one of the things that a flow waits for has completed.
func (r *run) completed(p *park, what *pending) {
	if p.isOver() {
		return
	}
	if what.event {
		// The flow resumes with this event. Read it now, because an unread event could go to another wait for its name.
		r.host.Outcome(what.task)
	}
	p.left--
	if p.isOver() {
		p.woken = what
		r.ready = append(r.ready, p.flow)
	}
}

// finish records that a flow has ended.
func (r *run) finish(flow *pending) {
	flow.done = true
	for _, p := range flow.waiters {
		r.completed(p, flow)
	}
}

// waitFirst makes the current flow wait for the first of several things, and returns it. It asks the host even if a task is
// known to be done, because another one may have completed before it.
func (r *run) waitFirst(on []*pending) *pending {
	for _, one := range on {
		if one.done && !one.host {
			return one
		}
	}
	return r.park(&park{flow: r.current, on: on, left: min(len(on), 1)})
}

// waitAll makes the current flow wait for several things.
func (r *run) waitAll(on []*pending) {
	on = slices.DeleteFunc(slices.Clone(on), func(one *pending) bool { return one.done })
	r.park(&park{flow: r.current, all: true, on: on, left: len(on)})
}

func (r *run) park(p *park) *pending {
	if p.isOver() {
		return nil
	}
	for _, one := range p.on {
		if !one.host {
			one.waiters = append(one.waiters, p)
		}
	}
	r.parked = append(r.parked, p)
	p.flow.yield(struct{}{})
	return p.woken
}

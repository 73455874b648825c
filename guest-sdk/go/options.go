package dacapo

import (
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// An ActivityOption changes how an activity is called: a [RetryPolicy].
type ActivityOption interface {
	callActivity(*call)
}

// A SubOrchestratorOption changes how a sub-orchestration is called: a [RetryPolicy], an [InstanceID] or a [Version].
type SubOrchestratorOption interface {
	callSubOrchestrator(*call)
}

// A StartOption changes how an orchestrator or an entity starts an orchestration: an [InstanceID].
type StartOption interface {
	startOrchestration(*call)
}

// A ClientStartOption changes how the durable client starts an orchestration: an [InstanceID], a [Version] or a [StartAt].
type ClientStartOption interface {
	startFromClient(*call)
}

// A RestartOption changes how an orchestration is restarted: an [InstanceID].
type RestartOption interface {
	restart(*call)
}

// An InstanceID is the id of the new instance. Without this option the host derives one.
type InstanceID string

// A Version is the version that an orchestration asks for: it runs on the code that a client's start with this version
// would get, and reads the version with [Context.Version]. Without this option, a child runs on the code of its parent, if
// that has the function.
type Version string

// A StartAt is the point in time before which the new instance does not begin: dacapo.StartAt(time.Now().Add(time.Hour)).
type StartAt time.Time

// A call holds the values of the options.
type call struct {
	retry      *contract.RetryPolicy
	instanceID string
	version    string
	startAt    *float64
}

func (p RetryPolicy) callActivity(c *call) { c.retry = p.toContract() }

func (p RetryPolicy) callSubOrchestrator(c *call) { c.retry = p.toContract() }
func (id InstanceID) callSubOrchestrator(c *call) { c.instanceID = string(id) }
func (v Version) callSubOrchestrator(c *call)     { c.version = string(v) }

func (id InstanceID) startOrchestration(c *call) { c.instanceID = string(id) }

func (id InstanceID) startFromClient(c *call) { c.instanceID = string(id) }
func (v Version) startFromClient(c *call)     { c.version = string(v) }

func (at StartAt) startFromClient(c *call) {
	moment := float64(time.Time(at).UnixMilli())
	c.startAt = &moment
}

func (id InstanceID) restart(c *call) { c.instanceID = string(id) }

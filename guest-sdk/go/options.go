package dacapo

import "dacapo.dev/sdk/internal/contract"

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

// An ActivityStartOption changes how an activity starts an orchestration: an [InstanceID] or a [Version].
type ActivityStartOption interface {
	startFromActivity(*call)
}

// An InstanceID is the id of the new instance. Without this option the host derives one.
type InstanceID string

// A Version is the version that an orchestration asks for: it runs on the code that a client's start with this version
// would get, and reads the version with [Context.Version]. Without this option, a child runs on the code of its parent, if
// that has the function.
type Version string

// A call holds the values of the options.
type call struct {
	retry      *contract.RetryPolicy
	instanceID string
	version    string
}

func (p RetryPolicy) callActivity(c *call) { c.retry = p.toContract() }

func (p RetryPolicy) callSubOrchestrator(c *call) { c.retry = p.toContract() }
func (id InstanceID) callSubOrchestrator(c *call) { c.instanceID = string(id) }
func (v Version) callSubOrchestrator(c *call)     { c.version = string(v) }

func (id InstanceID) startOrchestration(c *call) { c.instanceID = string(id) }

func (id InstanceID) startFromActivity(c *call) { c.instanceID = string(id) }
func (v Version) startFromActivity(c *call)     { c.version = string(v) }

package dacapo

import (
	"encoding/json"

	"dacapo.dev/sdk/internal/contract"
)

// An ActivityContext is what an activity knows about its call.
type ActivityContext struct {
	host contract.Host
	call contract.ActivityCall
}

// InstanceID is the id of the instance that called.
func (ctx *ActivityContext) InstanceID() string { return ctx.call.InstanceID }

// TaskID identifies the call within the instance's execution. With the instance id it is an idempotency key that stays
// the same when the call is repeated after a crash; a retry by policy is a new call.
func (ctx *ActivityContext) TaskID() uint32 { return ctx.call.TaskID }

// Attempt is 1 for the first attempt under the caller's retry policy, then 2, and so on.
func (ctx *ActivityContext) Attempt() int { return int(ctx.call.Attempt) }

// ManagementLinks are the addresses by which an instance is managed over HTTP, to be handed to an external system.
type ManagementLinks struct {
	ID                    string `json:"id"`
	StatusQueryGetURI     string `json:"statusQueryGetUri"`
	SendEventPostURI      string `json:"sendEventPostUri"`
	TerminatePostURI      string `json:"terminatePostUri"`
	RewindPostURI         string `json:"rewindPostUri"`
	PurgeHistoryDeleteURI string `json:"purgeHistoryDeleteUri"`
	RestartPostURI        string `json:"restartPostUri"`
	SuspendPostURI        string `json:"suspendPostUri"`
	ResumePostURI         string `json:"resumePostUri"`
}

// Links are the management links of an instance, or nil for a text that no instance can have as its id.
func (ctx *ActivityContext) Links(instanceID string) (*ManagementLinks, error) {
	var links *ManagementLinks
	err := json.Unmarshal([]byte(ctx.host.Links(instanceID)), &links)
	return links, err
}

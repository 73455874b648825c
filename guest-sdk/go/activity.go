package dacapo

import (
	"encoding/json"

	"dacapo.dev/sdk/internal/contract"
)

// An ActivityContext is the context of one call of an activity.
type ActivityContext struct {
	host contract.Host
	call contract.ActivityCall
}

// InstanceID is the id of the instance that called the activity.
func (ctx *ActivityContext) InstanceID() string { return ctx.call.InstanceID }

// TaskID identifies the call within the instance's execution. With the instance id it is an idempotency key that stays
// the same when the call is repeated after a crash; a retry by policy is a new call.
func (ctx *ActivityContext) TaskID() uint32 { return ctx.call.TaskID }

// Attempt is 1 for the first attempt under the caller's retry policy, then 2, and so on.
func (ctx *ActivityContext) Attempt() int { return int(ctx.call.Attempt) }

// ManagementLinks are the addresses for managing an instance over HTTP. An activity can pass them to an external system.
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

// Links returns the management links of an instance, or nil if the text is not a valid instance id.
func (ctx *ActivityContext) Links(instanceID string) (*ManagementLinks, error) {
	var links *ManagementLinks
	err := json.Unmarshal([]byte(ctx.host.Links(instanceID)), &links)
	return links, err
}

// StartOrchestration starts an orchestration that runs on its own, and returns its instance id once the start is durable.
//
//	id, err := ctx.StartOrchestration("invoice", order, dacapo.InstanceID("invoice-"+order.ID))
//	if dacapo.IsFailure(err, "InstanceAlreadyExists") {
//		return "it is being written", nil
//	}
//
// If the call of the activity is repeated after a crash, orchestrations that it has started are not started again, with or
// without an [InstanceID]. The error is a [*Failure]: "OrchestratorNotFound"; "InstanceAlreadyExists" if a live instance with
// the id was not started by this call; "VersionMismatch" if no deployed version matches the [Version].
func (ctx *ActivityContext) StartOrchestration(name string, input any, options ...ActivityStartOption) (string, error) {
	text, err := encodeInput(input)
	if err != nil {
		return "", err
	}
	var with call
	for _, option := range options {
		option.startFromActivity(&with)
	}
	start := contract.Start{Name: name, Input: text, InstanceID: with.instanceID, Version: with.version}
	id, failure := ctx.host.StartFromActivity(start)
	if failure != nil {
		return "", fromContract(failure)
	}
	return id, nil
}

// SendHTTP sends an HTTP request to a host that the operator allowed, and returns the response, whatever its status. Without
// any response the error is the [*Failure] "HttpRequestFailed".
//
//	response, err := ctx.SendHTTP(dacapo.HTTPRequest{URI: "https://example.org/stock"})
//
// Package [dacapo.dev/sdk/dacapohttp] does the same for code that uses net/http.
func (ctx *ActivityContext) SendHTTP(request HTTPRequest) (HTTPResponse, error) {
	request.WithoutPolling = true // the host does not poll for an activity
	text, err := request.encode()
	if err != nil {
		return HTTPResponse{}, err
	}
	response, failure := ctx.host.SendHTTP(text)
	if failure != nil {
		return HTTPResponse{}, fromContract(failure)
	}
	return decode[HTTPResponse](response, failureInvalidOutput, "the response of "+request.URI)
}

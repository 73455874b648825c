package dacapo

import "dacapo.dev/sdk/internal/contract"

// An ActivityContext is the context of one call of an activity. It holds the durable client.
type ActivityContext struct {
	Client
	outside
	call contract.ActivityCall
}

func newActivityContext(host contract.Host, call contract.ActivityCall) *ActivityContext {
	return &ActivityContext{Client{host}, outside{host}, call}
}

// InstanceID is the id of the instance that called the activity.
func (ctx *ActivityContext) InstanceID() string { return ctx.call.InstanceID }

// TaskID identifies the call within the instance's execution. With the instance id it is an idempotency key that stays
// the same when the call is repeated after a crash; a retry by policy is a new call.
func (ctx *ActivityContext) TaskID() uint32 { return ctx.call.TaskID }

// Attempt is 1 for the first attempt under the caller's retry policy, then 2, and so on.
func (ctx *ActivityContext) Attempt() int { return int(ctx.call.Attempt) }

// outside has the methods that activities and triggers share, apart from the durable client.
type outside struct {
	to contract.Host
}

// SendHTTP sends an HTTP request to a host that the operator allowed, and returns the response, whatever its status. Without
// any response the error is the [*Failure] "HttpRequestFailed".
//
//	response, err := ctx.SendHTTP(dacapo.HTTPRequest{URI: "https://example.org/stock"})
//
// Package [dacapo.dev/sdk/dacapohttp] does the same for code that uses net/http.
func (ctx *outside) SendHTTP(request HTTPRequest) (HTTPResponse, error) {
	request.WithoutPolling = true // the host polls for orchestrators only
	text, err := request.encode()
	if err != nil {
		return HTTPResponse{}, err
	}
	response, failure := ctx.to.SendHTTP(text)
	if failure != nil {
		return HTTPResponse{}, fromContract(failure)
	}
	return decode[HTTPResponse](response, failureInvalidOutput, "the response of "+request.URI)
}

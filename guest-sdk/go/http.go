package dacapo

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// An HTTPRequest is a request for [Context.CallHTTP] and [ActivityContext.SendHTTP].
type HTTPRequest struct {
	// Method is GET if it is empty.
	Method string
	// URI begins with http:// or https://.
	URI     string
	Headers map[string]string
	// Content must be UTF-8. If it is empty, the request has none.
	Content string
	// Timeout is how long each request may take; 0 means the default of the host.
	Timeout time.Duration
	// WithoutPolling returns a response 202 instead of polling, which SendHTTP always does.
	WithoutPolling bool
}

// wireRequest is a request in the form that the host reads.
type wireRequest struct {
	Method       string            `json:"method"`
	URI          string            `json:"uri"`
	Headers      map[string]string `json:"headers"`
	Content      string            `json:"content,omitempty"`
	Asynchronous bool              `json:"asynchronousPatternEnabled"`
	TimeoutMs    int64             `json:"timeoutMs,omitempty"`
}

// encode converts the request to JSON.
func (r HTTPRequest) encode() (string, error) {
	if !utf8.ValidString(r.Content) {
		return "", &Failure{
			Type:         failureInvalidInput,
			Message:      fmt.Sprintf("the content of the request to %s is no UTF-8 text, and others are not sent", r.URI),
			NotRetriable: true,
		}
	}
	return encodeInput(r.toWire())
}

func (r HTTPRequest) toWire() wireRequest {
	wire := wireRequest{r.Method, r.URI, map[string]string{}, r.Content, !r.WithoutPolling, r.Timeout.Milliseconds()}
	if r.Method == "" {
		wire.Method = "GET"
	}
	for name, value := range r.Headers {
		wire.Headers[strings.ToLower(name)] = value
	}
	return wire
}

// An HTTPResponse is a response, with any status.
type HTTPResponse struct {
	StatusCode int `json:"statusCode"`
	// Headers have names in lower case.
	Headers map[string]string `json:"headers"`
	Content string            `json:"content"`
}

// CallHTTP sends an HTTP request to a host that the operator allowed.
//
// A response 202 with a Location means that the work goes on: the host polls that location, at the intervals that
// Retry-After gives, until the response is not a 202. It waits durably, so the work may take days. Without any response the
// task fails with "HttpRequestFailed".
func (ctx *Context) CallHTTP(request HTTPRequest) *Task[HTTPResponse] {
	text, err := request.encode()
	if err != nil {
		return failed[HTTPResponse](ctx, err)
	}
	return scheduled[HTTPResponse](ctx, ctx.host.CallHTTP(text), failureInvalidOutput, "the response of "+request.URI)
}

package dacapo

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// An HTTPRequest is what [Context.CallHTTP] and [ActivityContext.SendHTTP] send.
type HTTPRequest struct {
	// Method is GET if it is empty.
	Method string
	// URI begins with http:// or https://.
	URI     string
	Headers map[string]string
	// Content is none if it is empty. It must be UTF-8.
	Content string
	// Timeout is the longest time for one answer, unless it is 0.
	Timeout time.Duration
	// WithoutPolling returns an answer 202 as it is, which SendHTTP does in any case.
	WithoutPolling bool
}

// wireRequest is a request as the host reads it.
type wireRequest struct {
	Method       string            `json:"method"`
	URI          string            `json:"uri"`
	Headers      map[string]string `json:"headers"`
	Content      string            `json:"content,omitempty"`
	Asynchronous bool              `json:"asynchronousPatternEnabled"`
	TimeoutMs    int64             `json:"timeoutMs,omitempty"`
}

// encode is the request as JSON.
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

// An HTTPResponse is what came back, of whatever status.
type HTTPResponse struct {
	StatusCode int `json:"statusCode"`
	// Headers have names in lower case.
	Headers map[string]string `json:"headers"`
	Content string            `json:"content"`
}

// CallHTTP sends an HTTP request to a host that the operator allowed.
//
// An answer 202 with a Location stands for work that goes on: the host asks there again and again, after as long as
// Retry-After says, until it gets another one. It waits durably, so the work may take days. No answer at all is the
// failure "HttpRequestFailed".
func (ctx *Context) CallHTTP(request HTTPRequest) *Task[HTTPResponse] {
	text, err := request.encode()
	if err != nil {
		return failed[HTTPResponse](ctx, err)
	}
	return scheduled[HTTPResponse](ctx, ctx.host.CallHTTP(text), failureInvalidOutput, "the response of "+request.URI)
}

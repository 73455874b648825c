// Package dacapohttp lets activities and triggers send HTTP requests with net/http, which has no network access in a wasm module.
//
//	func stock(ctx *dacapo.ActivityContext, item string) (int, error) {
//		response, err := dacapohttp.Client(ctx).Get("https://example.org/stock/" + url.PathEscape(item))
//		if err != nil {
//			return 0, err
//		}
//		defer response.Body.Close()
//		var left int
//		return left, json.NewDecoder(response.Body).Decode(&left)
//	}
//
// Libraries that do not accept a client use [http.DefaultTransport]. An instance runs one function at a time, so a function
// may replace it:
//
//	http.DefaultTransport = dacapohttp.Transport(ctx)
//
// The operator allows the hosts. Requests and responses are not streamed; their bodies are texts; headers with the same name
// are joined by commas.
//
// net/http makes a module 7 MB larger, and its instances start half a millisecond later. [dacapo.ActivityContext.SendHTTP]
// does not need it.
package dacapohttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	dacapo "dacapo.dev/sdk"
)

// A Sender is a [*dacapo.ActivityContext] or a [*dacapo.TriggerContext].
type Sender interface {
	SendHTTP(dacapo.HTTPRequest) (dacapo.HTTPResponse, error)
}

// Client returns a client for the requests of one call of an activity or trigger. See [Transport].
func Client(ctx Sender) *http.Client {
	return &http.Client{Transport: Transport(ctx)}
}

// Transport returns a transport for the requests of one call of an activity or trigger.
//
// A deadline of a request's context, and so the Timeout of a client, limits the time that the host waits for the response.
// A request cannot be cancelled otherwise. A body that is not UTF-8 text is refused. Without any response the error is the
// [*dacapo.Failure] "HttpRequestFailed", which [errors.As] finds in the error of a client.
func Transport(ctx Sender) http.RoundTripper {
	return transport{ctx}
}

type transport struct {
	ctx Sender
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	outgoing, err := outgoingOf(request)
	if err != nil {
		return nil, err
	}
	response, err := t.ctx.SendHTTP(outgoing)
	if err != nil {
		if _, late := timeLeft(request.Context()); late != nil {
			return nil, late
		}
		return nil, err
	}
	return incomingOf(response, request), nil
}

func outgoingOf(request *http.Request) (outgoing dacapo.HTTPRequest, err error) {
	content, err := contentOf(request)
	if err != nil {
		return outgoing, err
	}
	timeout, err := timeLeft(request.Context())
	if err != nil {
		return outgoing, err
	}
	if request.Host != "" && request.Host != request.URL.Host {
		return outgoing, fmt.Errorf("dacapohttp: the header Host is that of the URL, %q; it cannot be %q", request.URL.Host, request.Host)
	}
	address := *request.URL
	address.User, address.Fragment = nil, "" // the client has converted the user to a header
	outgoing = dacapo.HTTPRequest{
		Method:  request.Method,
		URI:     address.String(),
		Headers: make(map[string]string, len(request.Header)),
		Content: content,
		Timeout: timeout,
	}
	for name, values := range request.Header {
		outgoing.Headers[name] = strings.Join(values, ", ")
	}
	return outgoing, nil
}

// contentOf reads the body of a request and closes it.
func contentOf(request *http.Request) (string, error) {
	if request.Body == nil {
		return "", nil
	}
	defer request.Body.Close()
	content, err := io.ReadAll(request.Body)
	return string(content), err
}

// timeLeft returns the time until the deadline, in whole milliseconds; 0 if there is no deadline.
func timeLeft(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return 0, context.DeadlineExceeded // the context itself may report this later
	}
	return left.Truncate(time.Millisecond) + time.Millisecond, nil
}

func incomingOf(response dacapo.HTTPResponse, request *http.Request) *http.Response {
	incoming := &http.Response{
		Status:        strings.TrimSpace(fmt.Sprintf("%03d %s", response.StatusCode, http.StatusText(response.StatusCode))),
		StatusCode:    response.StatusCode,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, len(response.Headers)),
		Body:          io.NopCloser(strings.NewReader(response.Content)),
		ContentLength: int64(len(response.Content)),
		Request:       request,
	}
	for name, value := range response.Headers {
		incoming.Header.Set(name, value)
	}
	if request.Method == http.MethodHead {
		incoming.ContentLength = announcedLength(incoming.Header)
	}
	return incoming
}

// announcedLength returns the Content-Length of a response to a HEAD, which has no body; -1 if it is missing.
func announcedLength(header http.Header) int64 {
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return -1
	}
	return length
}

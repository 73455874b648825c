// Package dacapohttp lets activities send HTTP requests with net/http, which itself reaches nobody from a wasm module.
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
// Libraries that are given no client use [http.DefaultTransport]. An instance runs one activity at a time, so an activity may
// replace it for them:
//
//	http.DefaultTransport = dacapohttp.Transport(ctx)
//
// The operator allows the hosts. Requests and responses are sent whole and do not stream; their bodies are texts; headers that
// stand several times are joined by commas.
//
// net/http makes a module 7 MB larger, and its instances start half a millisecond later. [dacapo.ActivityContext.SendHTTP]
// does without it.
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

// Client is a client that sends the requests of one call of an activity. What holds for it is said at [Transport].
func Client(ctx *dacapo.ActivityContext) *http.Client {
	return &http.Client{Transport: Transport(ctx)}
}

// Transport sends the requests of one call of an activity.
//
// A deadline of a request's context, and so the Timeout of a client, bounds the time that the host waits for the response.
// Otherwise a request that is under way is not given up. A body that is no UTF-8 text is refused. No answer at all is the
// [*dacapo.Failure] "HttpRequestFailed", which [errors.As] finds in the error of a client.
func Transport(ctx *dacapo.ActivityContext) http.RoundTripper {
	return transport{ctx}
}

type transport struct {
	activity *dacapo.ActivityContext
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	outgoing, err := outgoingOf(request)
	if err != nil {
		return nil, err
	}
	response, err := t.activity.SendHTTP(outgoing)
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
	address.User, address.Fragment = nil, "" // a client has made a header of the former
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

// timeLeft is the time until the deadline is over, in whole milliseconds; 0 if there is none.
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
		return 0, context.DeadlineExceeded // which the context itself may notice later
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

// announcedLength is the length of the body that an answer to a HEAD leaves out; -1 if it does not say.
func announcedLength(header http.Header) int64 {
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return -1
	}
	return length
}

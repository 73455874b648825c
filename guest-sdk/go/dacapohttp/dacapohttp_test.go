package dacapohttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/dacapohttp"
	"dacapo.dev/sdk/dacapotest"
)

var registered int

// send runs an activity that uses a client.
func send[Out any](t *testing.T, script *dacapotest.Script, use func(client *http.Client) (Out, error)) *dacapotest.Run {
	t.Helper()
	registered++
	name := fmt.Sprintf("%s-%d", t.Name(), registered)
	dacapo.Activity(name, func(ctx *dacapo.ActivityContext, _ any) (Out, error) { return use(dacapohttp.Client(ctx)) })
	return script.RunActivity(t, name, nil, 1)
}

func TestARequestAndItsResponse(t *testing.T) {
	script := dacapotest.NewScript()
	script.HTTP(dacapo.HTTPResponse{
		StatusCode: 418,
		Headers:    map[string]string{"content-type": "text/plain", "x-cups": "3"},
		Content:    "short and stout",
	})
	run := send(t, script, func(client *http.Client) (string, error) {
		request, err := http.NewRequest("PUT", "https://ada:secret@example.org/tea?a&b#pot", strings.NewReader(`{"milk":true}`))
		if err != nil {
			return "", err
		}
		request.Header.Add("X-Spice", "clove")
		request.Header.Add("X-Spice", "mace")
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return fmt.Sprint(response.Status, " ", response.Header.Get("X-Cups"), " ", response.ContentLength, " ", string(body)), err
	})
	if got := dacapotest.Result[string](t, run); got != "418 I'm a teapot 3 15 short and stout" {
		t.Errorf("got %q", got)
	}
	sent := `send-http {"method":"PUT","uri":"https://example.org/tea?a&b","headers":` +
		`{"authorization":"Basic YWRhOnNlY3JldA==","x-spice":"clove, mace"},"content":"{\"milk\":true}","asynchronousPatternEnabled":false}`
	if !slices.Equal(run.Actions, []string{sent}) {
		t.Errorf("it asked for %q", run.Actions)
	}
}

func TestAClientFollowsRedirects(t *testing.T) {
	script := dacapotest.NewScript()
	script.HTTP(dacapotest.Answer(func(request dacapo.HTTPRequest) (dacapo.HTTPResponse, error) {
		if request.URI == "https://example.org/old" {
			return dacapo.HTTPResponse{StatusCode: 301, Headers: map[string]string{"location": "/new"}}, nil
		}
		return dacapo.HTTPResponse{StatusCode: 200, Content: request.Method + " " + request.URI}, nil
	}))
	run := send(t, script, func(client *http.Client) (string, error) {
		response, err := client.Get("https://example.org/old")
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	})
	if got := dacapotest.Result[string](t, run); got != "GET https://example.org/new" {
		t.Errorf("got %q", got)
	}
}

func TestAHeadTellsTheLength(t *testing.T) {
	script := dacapotest.NewScript()
	script.HTTP(
		dacapo.HTTPResponse{StatusCode: 200, Headers: map[string]string{"content-length": "70000"}},
		dacapo.HTTPResponse{StatusCode: 200},
	)
	for _, want := range []int64{70000, -1} {
		run := send(t, script, func(client *http.Client) (int64, error) {
			response, err := client.Head("https://example.org/")
			if err != nil {
				return 0, err
			}
			return response.ContentLength, response.Body.Close()
		})
		if got := dacapotest.Result[int64](t, run); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func TestADeadlineBoundsTheWait(t *testing.T) {
	script := dacapotest.NewScript()
	script.HTTP(dacapotest.Answer(func(sent struct{ TimeoutMs int }) (dacapo.HTTPResponse, error) {
		if sent.TimeoutMs < 10 || sent.TimeoutMs > 21 {
			t.Errorf("the host is to wait for %d ms", sent.TimeoutMs)
		}
		time.Sleep(time.Duration(sent.TimeoutMs) * time.Millisecond)
		return dacapo.HTTPResponse{}, &dacapo.Failure{Type: "HttpRequestFailed", Message: "there was no answer"}
	}))
	run := send(t, script, func(client *http.Client) (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, "GET", "https://example.org/", nil)
		if err != nil {
			return false, err
		}
		_, late := client.Do(request)
		_, given := client.Do(request) // its deadline has passed before it is sent
		return errors.Is(late, context.DeadlineExceeded) && errors.Is(given, context.DeadlineExceeded), nil
	})
	if !dacapotest.Result[bool](t, run) || len(run.Actions) != 1 {
		t.Errorf("the errors are others, or it did %q", run.Actions)
	}
}

// closing records whether a body was closed, which a RoundTripper must always do.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestWhatTheHostCannotSendIsRefused(t *testing.T) {
	for _, test := range []struct {
		host, body, want string
	}{
		{"", "\xff\xd8", "no UTF-8 text"},
		{"other.example", "text", `cannot be "other.example"`},
	} {
		run := send(t, dacapotest.NewScript(), func(client *http.Client) (any, error) {
			body := &closing{Reader: bytes.NewReader([]byte(test.body))}
			request, err := http.NewRequest("POST", "https://example.org/", body)
			if err != nil {
				return nil, err
			}
			request.Host = test.host
			_, err = client.Do(request)
			if !body.closed {
				t.Error("the body stays open")
			}
			return nil, err
		})
		if run.Failure == nil || !strings.Contains(run.Failure.Message, test.want) || len(run.Actions) > 0 {
			t.Errorf("got %v after %q", run.Failure, run.Actions)
		}
	}
}

func TestNoAnswerIsAFailure(t *testing.T) {
	script := dacapotest.NewScript()
	script.HTTP(&dacapo.Failure{Type: "HttpRequestFailed", Message: "refused", NotRetriable: true})
	run := send(t, script, func(client *http.Client) (any, error) {
		_, err := client.Get("https://example.org/")
		return nil, err
	})
	want := dacapo.Failure{Type: "HttpRequestFailed", Message: `Get "https://example.org/": HttpRequestFailed: refused`, NotRetriable: true}
	if run.Failure == nil || *run.Failure != want {
		t.Errorf("got %+v", run.Failure)
	}
}

func ExampleClient() {
	dacapo.Activity("stock", func(ctx *dacapo.ActivityContext, item string) (left int, err error) {
		response, err := dacapohttp.Client(ctx).Get("https://example.org/stock/" + item)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		return left, json.NewDecoder(response.Body).Decode(&left)
	})
}

func TestATriggerSendsARequest(t *testing.T) {
	dacapo.ManualTrigger("look", func(ctx *dacapo.TriggerContext, address string) error {
		response, err := dacapohttp.Client(ctx).Get(address)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	script := dacapotest.NewScript()
	script.HTTP(dacapo.HTTPResponse{StatusCode: 200})
	run := script.RunTrigger(t, "look", "https://example.org/", 1)
	if run.Failure != nil || len(run.Actions) != 1 || !strings.Contains(run.Actions[0], `"uri":"https://example.org/"`) {
		t.Errorf("got %v after %q", run.Failure, run.Actions)
	}
}

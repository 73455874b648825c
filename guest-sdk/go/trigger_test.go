package dacapo_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/dacapotest"
	"dacapo.dev/sdk/internal/contract"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

func init() {
	dacapo.HTTPTrigger("start", func(ctx *dacapo.TriggerContext, request *dacapo.HTTPTriggerRequest) (*dacapo.HTTPTriggerResponse, error) {
		var wanted order
		if err := request.DecodeJSON(&wanted); err != nil {
			return dacapo.TextResponse(400, err.Error()), nil
		}
		id, err := ctx.StartOrchestration("order", wanted, dacapo.InstanceID(request.Params["id"]))
		if err != nil {
			return nil, err
		}
		return ctx.CreateCheckStatusResponse(request, id)
	}, dacapo.Route("orders/{id?}"), dacapo.Methods{"POST", "PUT"}, dacapo.AuthAnonymous)

	dacapo.HTTPTrigger("echo", func(ctx *dacapo.TriggerContext, request *dacapo.HTTPTriggerRequest) (*dacapo.HTTPTriggerResponse, error) {
		response := &dacapo.HTTPTriggerResponse{Status: 201, Headers: dacapo.Headers{}, Body: request.Body}
		response.Headers.Set("X-Method", request.Method+" "+request.URL+" "+request.Headers.Get("Accept"))
		for _, name := range request.Query["name"] {
			response.Headers.Add("Set-Cookie", "name="+name)
		}
		return response, ctx.Output("copies", string(request.Body))
	}, dacapo.QueueOutput("copies", "copies-of-echo"))

	dacapo.HTTPTrigger("silent", func(*dacapo.TriggerContext, *dacapo.HTTPTriggerRequest) (*dacapo.HTTPTriggerResponse, error) {
		return nil, nil
	}, dacapo.AuthAdmin)

	dacapo.TimerTrigger("nightly", "0 30 3 * * *", func(ctx *dacapo.TriggerContext, timer dacapo.TimerInfo) error {
		if timer.IsPastDue {
			ctx.Log().Warn("late", "last", timer.ScheduleStatus.Last)
		}
		_, err := ctx.PurgeInstances(dacapo.InstanceFilter{CreatedFrom: timer.ScheduleStatus.Last})
		return err
	}, dacapo.RunOnStartup, dacapo.WithoutMonitor)

	dacapo.QueueTrigger("ship", "shipments", func(ctx *dacapo.TriggerContext, message dacapo.QueueMessage[order]) error {
		if message.DequeueCount > 2 || ctx.Attempt() > 4 {
			return &dacapo.Failure{Type: "TooOften", Message: message.ID}
		}
		return errors.Join(
			ctx.Output("notes", message.Value.Item+" is on its way"),
			ctx.Output("notes", message.Value),
			ctx.Output("notes", []int{1, 2}),
			ctx.Output("audit", ctx.InvocationID()),
		)
	}, dacapo.QueueOutput("notes", "notes"), dacapo.EventHubOutput("audit", "shipped"))

	dacapo.QueueTrigger("letters", "letters", func(ctx *dacapo.TriggerContext, letter dacapo.QueueMessage[string]) error {
		return ctx.Output("missing", letter.Value)
	})

	dacapo.EventHubTrigger("measure", "measurements", func(ctx *dacapo.TriggerContext, events []dacapo.EventHubEvent[int]) error {
		sum := 0
		for _, event := range events {
			sum += event.Value
		}
		return ctx.SignalEntity(dacapo.EntityID{Name: "meter", Key: events[0].PartitionKey}, "add", sum)
	})

	dacapo.EventHubTrigger("measure_one", "measurements", func(*dacapo.TriggerContext, []dacapo.EventHubEvent[string]) error {
		panic("out of order")
	}, dacapo.OneEventPerCall)

	dacapo.EventGridTrigger("uploaded", func(ctx *dacapo.TriggerContext, event dacapo.EventGridEvent[struct{ URL string }]) error {
		return ctx.RaiseEvent(event.Subject, event.Type, event.Source+" "+event.Data.URL+" "+event.Time.Format(time.DateOnly))
	})

	dacapo.ManualTrigger("repair", func(ctx *dacapo.TriggerContext, id string) error { return ctx.Rewind(id, "by hand") })
	dacapo.ManualTrigger("count", func(ctx *dacapo.TriggerContext, n int) error { return ctx.Output("out", n+1) },
		dacapo.QueueOutput("out", "numbers"))
}

func actions(t *testing.T, run *dacapotest.Run, want ...string) {
	t.Helper()
	if run.Failure != nil {
		t.Errorf("it failed: %v", run.Failure)
	}
	if !slices.Equal(run.Actions, want) {
		t.Errorf("it asked for %q", run.Actions)
	}
}

func failed(t *testing.T, run *dacapotest.Run, failureType, message string) {
	t.Helper()
	if run.Failure == nil || run.Failure.Type != failureType || !strings.Contains(run.Failure.Message, message) {
		t.Errorf("got %v", run.Failure)
	}
}

func TestTriggersAreDescribedByTheirBindings(t *testing.T) {
	want := map[string]string{
		"start": `[{"type":"httpTrigger","direction":"in","name":"req","methods":["POST","PUT"],"route":"orders/{id?}","authLevel":"anonymous"},` +
			`{"type":"http","direction":"out","name":"$return"}]`,
		"echo": `[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"function"},` +
			`{"type":"http","direction":"out","name":"$return"},{"type":"queue","direction":"out","name":"copies","queueName":"copies-of-echo"}]`,
		"nightly": `[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"0 30 3 * * *","runOnStartup":true,"useMonitor":false}]`,
		"ship": `[{"type":"queueTrigger","direction":"in","name":"item","queueName":"shipments"},` +
			`{"type":"queue","direction":"out","name":"notes","queueName":"notes"},` +
			`{"type":"eventHub","direction":"out","name":"audit","eventHubName":"shipped"}]`,
		"measure":     `[{"type":"eventHubTrigger","direction":"in","name":"events","eventHubName":"measurements","cardinality":"many"}]`,
		"measure_one": `[{"type":"eventHubTrigger","direction":"in","name":"events","eventHubName":"measurements","cardinality":"one"}]`,
		"uploaded":    `[{"type":"eventGridTrigger","direction":"in","name":"event"}]`,
		"repair":      `[{"type":"manualTrigger","direction":"in","name":"input"}]`,
	}
	for _, trigger := range contract.OfKinds(contract.Trigger) {
		if bindings, isWanted := want[trigger.Name]; isWanted && trigger.Bindings != bindings {
			t.Errorf("%s has %s", trigger.Name, trigger.Bindings)
		}
		delete(want, trigger.Name)
	}
	if len(want) > 0 {
		t.Errorf("not described: %v", want)
	}
	for _, function := range contract.OfKinds(contract.Orchestrator, contract.Activity, contract.Entity) {
		if function.Bindings != "" {
			t.Errorf("%s is described as a function", function.Name)
		}
	}
}

func TestAnHTTPTriggerStartsAnOrchestration(t *testing.T) {
	run := dacapotest.RunTrigger(t, "start", dacapo.HTTPTriggerRequest{
		Method: "POST",
		URL:    "https://shop.example.org/api/orders/o-1",
		Params: map[string]string{"id": "o-1"},
		Body:   []byte(`{"item":"lamp","count":2}`),
	}, 1)
	actions(t, run, `start-orchestration order {"item":"lamp","count":2} as o-1`)
	const status = "https://shop.example.org/runtime/webhooks/durabletask/instances/o-1"
	headers := dacapo.Headers{
		"content-type": {"application/json; charset=utf-8"},
		"location":     {status},
		"retry-after":  {"10"},
	}
	if run.Response == nil || run.Response.Status != 202 || !reflect.DeepEqual(run.Response.Headers, headers) {
		t.Fatalf("got %+v", run.Response)
	}
	var links dacapo.ManagementLinks
	if err := json.Unmarshal(run.Response.Body, &links); err != nil || links.ID != "o-1" || links.StatusQueryGetURI != status ||
		links.TerminatePostURI != status+"/terminate?reason={text}" {
		t.Errorf("got %+v, %v", links, err)
	}

	run = dacapotest.RunTrigger(t, "start", &dacapo.HTTPTriggerRequest{Body: []byte("{")}, 1)
	actions(t, run)
	if run.Response.Status != 400 || !strings.HasPrefix(string(run.Response.Body), "InvalidInput: the body of the request") {
		t.Errorf("got %d %s", run.Response.Status, run.Response.Body)
	}

	script := dacapotest.NewScript()
	script.Client("start-orchestration order", &dacapo.Failure{Type: "NotGranted", Message: "ask ada"})
	failed(t, script.RunTrigger(t, "start", dacapo.HTTPTriggerRequest{Body: []byte("{}")}, 1), "NotGranted", "ask ada")
}

func TestARequestAndAResponseAreWhole(t *testing.T) {
	for _, body := range []string{"", "ü <&>", "\x00\xff\xfe"} {
		run := dacapotest.RunTrigger(t, "echo", dacapo.HTTPTriggerRequest{
			Method:  "GET",
			URL:     "http://localhost/api/echo?name=a&name=b",
			Headers: dacapo.Headers{"Accept": {"text/plain", "text/html"}},
			Query:   dacapo.Values{"name": {"a", "b"}},
			Body:    []byte(body),
		}, 1)
		headers := dacapo.Headers{
			"set-cookie": {"name=a", "name=b"},
			"x-method":   {"GET http://localhost/api/echo?name=a&name=b text/plain"},
		}
		if run.Response.Status != 201 || string(run.Response.Body) != body || !reflect.DeepEqual(run.Response.Headers, headers) {
			t.Errorf("got %+v", run.Response)
		}
		if utf := string(run.Output); strings.Contains(utf, "bodyBase64") != (body == "\x00\xff\xfe") {
			t.Errorf("got %s", utf)
		}
	}
	if run := dacapotest.RunTrigger(t, "silent", dacapo.HTTPTriggerRequest{}, 1); run.Response != nil || string(run.Output) != "null" {
		t.Errorf("got %s", run.Output)
	}
}

// The texts are those of the contract.
func TestARequestIsReadAsTheHostSendsIt(t *testing.T) {
	var request dacapo.HTTPTriggerRequest
	text := `{"method":"PUT","url":"http://h/api/x/7?a=1&a=2","headers":[["accept","a"],["accept","b"]],` +
		`"query":[["a","1"],["a","2"]],"params":{"id":"7"},"bodyBase64":"/wA="}`
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		t.Fatal(err)
	}
	want := dacapo.HTTPTriggerRequest{
		Method:  "PUT",
		URL:     "http://h/api/x/7?a=1&a=2",
		Headers: dacapo.Headers{"accept": {"a", "b"}},
		Query:   dacapo.Values{"a": {"1", "2"}},
		Params:  map[string]string{"id": "7"},
		Body:    []byte{0xff, 0},
	}
	if !reflect.DeepEqual(request, want) {
		t.Errorf("got %+v", request)
	}
}

func TestATimerTriggerRuns(t *testing.T) {
	script := dacapotest.NewScript()
	script.Client("purge-instances", 3)
	timer := dacapo.TimerInfo{IsPastDue: true}
	timer.ScheduleStatus.Last = time.Date(2026, 1, 31, 3, 30, 0, 0, time.UTC)
	actions(t, script.RunTrigger(t, "nightly", timer, 1), `purge-instances {"createdTimeFrom":"2026-01-31T03:30:00Z"}`)
	actions(t, script.RunTrigger(t, "nightly", nil, 1), `purge-instances {}`)
}

func TestAQueueTriggerHasItsMessageAndSendsOthers(t *testing.T) {
	message := dacapo.QueueMessage[order]{Value: order{"lamp", 1}}
	message.DequeueCount = 2
	for _, input := range []any{message, order{"lamp", 1}, `{"item":"lamp","count":1}`} {
		run := dacapotest.RunTrigger(t, "ship", input, 1)
		actions(t, run)
		want := map[string][]json.RawMessage{
			"notes": {json.RawMessage(`"lamp is on its way"`), json.RawMessage(`{"item":"lamp","count":1}`), json.RawMessage(`[1,2]`)},
			"audit": {json.RawMessage(`"test"`)},
		}
		if !reflect.DeepEqual(run.Outputs, want) || run.Response != nil {
			t.Errorf("got %s", run.Output)
		}
	}
	message.ID, message.DequeueCount = "m-1", 3
	failed(t, dacapotest.RunTrigger(t, "ship", message, 1), "TooOften", "m-1")
	failed(t, dacapotest.RunTrigger(t, "ship", "a lamp", 1), "InvalidInput", "the message for `ship`")
	failed(t, dacapotest.RunTrigger(t, "letters", "dear", 1), "InvalidOutput", "has no output binding `missing`")
}

func TestAnEventHubTriggerHasABatch(t *testing.T) {
	events := []dacapo.EventHubEvent[int]{{Value: 3}, {Value: 4}}
	events[0].PartitionKey = "hall"
	actions(t, dacapotest.RunTrigger(t, "measure", events, 1), "signal-entity @meter@hall add 7")
	actions(t, dacapotest.RunTrigger(t, "measure", 5, 1), "signal-entity @meter@ add 5")
	failed(t, dacapotest.RunTrigger(t, "measure_one", []dacapo.EventHubEvent[string]{{Value: "x"}}, 1), "Panic", "out of order")
}

func TestAnEventGridTriggerReadsBothSchemas(t *testing.T) {
	const own = `{"id":"1","topic":"/t","subject":"i-1","eventType":"Uploaded","eventTime":"2026-01-31T12:00:00Z","data":{"url":"u"},"dataVersion":"1"}`
	const cloud = `{"id":"1","source":"/t","subject":"i-1","type":"Uploaded","time":"2026-01-31T12:00:00Z","data":{"url":"u"},"specversion":"1.0"}`
	event := dacapo.EventGridEvent[struct{ URL string }]{Subject: "i-1", Type: "Uploaded", Source: "/t"}
	event.Data.URL, event.Time = "u", time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, input := range []any{own, cloud, event} {
		actions(t, dacapotest.RunTrigger(t, "uploaded", input, 1), `raise-event i-1 Uploaded "/t u 2026-01-31"`)
	}
	failed(t, dacapotest.RunTrigger(t, "uploaded", "", 1), "InvalidInput", "the event for `uploaded`")
}

func TestAnOperatorRunsAManualTrigger(t *testing.T) {
	actions(t, dacapotest.RunTrigger(t, "repair", "order-17", 1), "rewind order-17 by hand")
	for input, want := range map[any]string{7: "8", "": "1"} {
		if run := dacapotest.RunTrigger(t, "count", input, 1); string(run.Outputs["out"][0]) != want {
			t.Errorf("got %s", run.Output)
		}
	}
	failed(t, dacapotest.RunTrigger(t, "count", "many", 1), "InvalidInput", "the input of `count`")
}

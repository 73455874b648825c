package dacapo_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/dacapotest"
)

// activity registers the activity of one test, under a unique name, and runs it.
func activity[Out any](t *testing.T, script *dacapotest.Script, run func(ctx *dacapo.ActivityContext) (Out, error)) *dacapotest.Run {
	t.Helper()
	registered++
	name := fmt.Sprintf("%s-%d", t.Name(), registered)
	dacapo.Activity(name, func(ctx *dacapo.ActivityContext, _ any) (Out, error) { return run(ctx) })
	return script.RunActivity(t, name, nil, 1)
}

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTheClientSendsToInstancesAndEntities(t *testing.T) {
	ada := dacapo.EntityID{Name: "account", Key: "ada"}
	run := activity(t, dacapotest.NewScript(), func(ctx *dacapo.ActivityContext) ([]string, error) {
		client := ctx.Client
		for _, err := range []error{
			client.RaiseEvent("o-1", "Approval", true),
			client.Terminate("o-1", "no longer needed"),
			client.Suspend("o-1", "stock-taking"),
			client.Resume("o-1", "done"),
			client.Rewind("o-1", "fixed"),
			client.SignalEntity(ada, "add", 5),
			client.SignalEntityAt(ada, "add", 6, newYear.Add(time.Hour)),
			client.Enqueue("orders", "a lamp", map[string]int{"n": 1}),
			client.EnqueueAt("orders", newYear.Add(time.Hour), "later"),
		} {
			if err != nil {
				return nil, err
			}
		}
		var ids []string
		for _, start := range []func() (string, error){
			func() (string, error) { return client.Restart("o-1") },
			func() (string, error) { return client.Restart("o-1", dacapo.InstanceID("o-2")) },
			func() (string, error) {
				return client.StartOrchestration("order", nil, dacapo.StartAt(newYear.Add(time.Minute)), dacapo.Version("2.0"))
			},
		} {
			id, err := start()
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		return ids, nil
	})
	expect(t, run, []string{"test:1", "o-2", "test:2"})
	actions(t, run,
		`raise-event o-1 Approval true`,
		`terminate o-1 no longer needed`,
		`suspend o-1 stock-taking`,
		`resume o-1 done`,
		`rewind o-1 fixed`,
		`signal-entity @account@ada add 5`,
		`signal-entity @account@ada add 6 at 2026-01-01T01:00:00Z`,
		`enqueue orders ["a lamp","{\"n\":1}"]`,
		`enqueue orders ["later"] at 2026-01-01T01:00:00Z`,
		`restart o-1 as test:1`,
		`restart o-1 as o-2`,
		`start-orchestration order null as test:2 version 2.0 at 2026-01-01T00:01:00Z`,
	)
}

func TestACallOfTheClientFails(t *testing.T) {
	script := dacapotest.NewScript()
	script.Client("terminate o-1", &dacapo.Failure{Type: "InstanceEnded"})
	run := activity(t, script, func(ctx *dacapo.ActivityContext) (bool, error) {
		return dacapo.IsFailure(ctx.Terminate("o-1", ""), "InstanceEnded"), ctx.Terminate("o-2", "")
	})
	expect(t, run, true)
}

func TestTheClientReadsInstances(t *testing.T) {
	script := dacapotest.NewScript()
	script.Client("get-status", nil)
	script.Client("get-status o-1", dacapo.InstanceStatus{InstanceID: "o-1", RuntimeStatus: dacapo.StatusRunning, CreatedTime: newYear})
	script.Client("list-instances", dacapo.InstancePage{
		Instances:         []dacapo.InstanceStatus{{InstanceID: "o-1"}, {InstanceID: "o-2"}},
		ContinuationToken: "more",
	}, dacapo.InstancePage{Instances: []dacapo.InstanceStatus{{InstanceID: "o-3"}}})
	script.Client("purge o-1", true)
	script.Client("purge-instances", 2)
	run := activity(t, script, func(ctx *dacapo.ActivityContext) (string, error) {
		status, err := ctx.GetStatus("o-1", dacapo.WithoutInput, dacapo.WithHistory, dacapo.WithHistoryOutput)
		if err != nil || status.RuntimeStatus != dacapo.StatusRunning || !status.CreatedTime.Equal(newYear) {
			return "", fmt.Errorf("got %+v, %w", status, err)
		}
		if status, err := ctx.GetStatus("o-9"); status != nil || err != nil {
			return "", fmt.Errorf("got %+v, %w", status, err)
		}
		filter := dacapo.InstanceFilter{
			InstanceIDPrefix: "o-",
			CreatedFrom:      newYear,
			CreatedTo:        newYear.Add(time.Hour),
			RuntimeStatus:    []dacapo.RuntimeStatus{dacapo.StatusFailed, dacapo.StatusCompleted},
			FunctionName:     "order",
			Version:          "2.0",
		}
		purged, err := ctx.PurgeInstances(filter)
		if err != nil {
			return "", err
		}
		filter = dacapo.InstanceFilter{WithoutInput: true, Top: 2}
		found := 0
		for {
			page, err := ctx.ListInstances(filter)
			if err != nil {
				return "", err
			}
			found += len(page.Instances)
			if filter.ContinuationToken = page.ContinuationToken; filter.ContinuationToken == "" {
				break
			}
		}
		was, err := ctx.Purge("o-1")
		return fmt.Sprint(found, purged, was), err
	})
	expect(t, run, "3 2 true")
	actions(t, run,
		`get-status o-1 {"showInput":false,"showHistory":true,"showHistoryOutput":true}`,
		`get-status o-9`,
		`purge-instances {"instanceIdPrefix":"o-","createdTimeFrom":"2026-01-01T00:00:00Z","createdTimeTo":"2026-01-01T01:00:00Z",`+
			`"runtimeStatus":["Failed","Completed"],"functionName":"order","version":"2.0"}`,
		`list-instances {"top":2,"showInput":false}`,
		`list-instances {"top":2,"continuationToken":"more","showInput":false}`,
		`purge o-1`,
	)
}

func TestTheClientReadsEntities(t *testing.T) {
	script := dacapotest.NewScript()
	script.Client("read-entity @account@ada", 7)
	script.Client("read-entity", nil)
	script.Client("list-entities", dacapo.EntityPage{Entities: []dacapo.EntityStatus{{
		ID: dacapo.EntityID{Name: "account", Key: "ada"}, LastOperation: newYear, State: []byte("7"),
	}}})
	run := activity(t, script, func(ctx *dacapo.ActivityContext) (string, error) {
		balance, err := dacapo.ReadEntity[int](ctx.Client, dacapo.EntityID{Name: "account", Key: "ada"})
		if err != nil || *balance != 7 {
			return "", fmt.Errorf("got %v, %w", balance, err)
		}
		none, err := dacapo.ReadEntity[int](ctx.Client, dacapo.EntityID{Name: "account", Key: "grace"})
		if err != nil || none != nil {
			return "", fmt.Errorf("got %v, %w", none, err)
		}
		page, err := ctx.ListEntities(dacapo.EntityFilter{EntityName: "account", LastOperationFrom: newYear, FetchState: true, Top: 9})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(page.Entities[0].ID, string(page.Entities[0].State), page.ContinuationToken), nil
	})
	expect(t, run, "@account@ada7")
	actions(t, run, `read-entity @account@ada`, `read-entity @account@grace`,
		`list-entities {"entityName":"account","lastOperationTimeFrom":"2026-01-01T00:00:00Z","fetchState":true,"top":9}`)
}

// A page that a trigger answers with had ids with members in upper case, unlike those of the host.
func TestAnEntityIsWrittenAsTheHostWritesIt(t *testing.T) {
	text := `{"entityId":{"name":"account","key":"ada"},"lastOperationTime":"2026-01-01T00:00:00Z","state":7}`
	var entity dacapo.EntityStatus
	if err := json.Unmarshal([]byte(text), &entity); err != nil || entity.ID != (dacapo.EntityID{Name: "account", Key: "ada"}) {
		t.Errorf("got %+v, %v", entity, err)
	}
	if written, err := json.Marshal(entity); err != nil || string(written) != text {
		t.Errorf("got %s, %v", written, err)
	}
}

func TestWaitingForCompletionOrTheCheckStatusResponse(t *testing.T) {
	output := dacapo.InstanceStatus{InstanceID: "o-1", RuntimeStatus: dacapo.StatusCompleted, Output: []byte(`[1]`)}
	broken := dacapo.InstanceStatus{InstanceID: "o-1", RuntimeStatus: dacapo.StatusFailed}
	stopped := dacapo.InstanceStatus{InstanceID: "o-1", RuntimeStatus: dacapo.StatusTerminated}
	for _, test := range []struct {
		answer  any
		status  int
		body    string
		elapsed time.Duration
	}{
		{dacapotest.After(2*time.Second, output), 200, `[1]`, 2 * time.Second},
		{broken, 500, `{"name":"","instanceId":"o-1","runtimeStatus":"Failed"`, 0},
		{stopped, 200, `{"name":"","instanceId":"o-1","runtimeStatus":"Terminated"`, 0},
		{dacapotest.After(time.Minute, output), 202, `{"id":"o-1","statusQueryGetUri":"http://localhost:7071/`, 10 * time.Second},
		{nil, 404, ``, 0},
	} {
		script := dacapotest.NewScript()
		script.Client("wait-for-completion o-1", test.answer)
		run := activity(t, script, func(ctx *dacapo.ActivityContext) (*dacapo.HTTPTriggerResponse, error) {
			return ctx.WaitForCompletionOrCreateCheckStatusResponse(nil, "o-1", 10*time.Second)
		})
		response := dacapotest.Result[dacapo.HTTPTriggerResponse](t, run)
		if response.Status != test.status || run.Elapsed != test.elapsed || len(response.Body) < len(test.body) ||
			string(response.Body[:len(test.body)]) != test.body {
			t.Errorf("got %d %s after %v", response.Status, response.Body, run.Elapsed)
		}
	}
}

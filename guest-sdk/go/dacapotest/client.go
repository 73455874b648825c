package dacapotest

import (
	"encoding/json"
	"slices"
	"strings"

	dacapo "dacapo.dev/sdk"
	"dacapo.dev/sdk/internal/contract"
)

// ClientStart succeeds unless the script has an answer that fails it.
func (h *host) ClientStart(start contract.Start) (string, *contract.Failure) {
	id := h.idOfStarted(start.InstanceID)
	parts := []string{"start-orchestration", start.Name, start.Input, "as", id}
	parts = append(parts, given("version", start.Version)...)
	return id, h.tell(append(parts, at(start.StartAt)...)...)
}

func (h *host) GetStatus(instanceID, options string) (string, *contract.Failure) {
	return h.ask(slices.DeleteFunc([]string{"get-status", instanceID, options}, func(part string) bool { return part == "" })...)
}

func (h *host) ListInstances(filter string) (string, *contract.Failure) {
	return h.ask("list-instances", filter)
}

func (h *host) RaiseEvent(instanceID, name, data string) *contract.Failure {
	return h.tell("raise-event", instanceID, name, data)
}

func (h *host) Terminate(instanceID, reason string) *contract.Failure {
	return h.tell("terminate", instanceID, reason)
}

func (h *host) Suspend(instanceID, reason string) *contract.Failure {
	return h.tell("suspend", instanceID, reason)
}

func (h *host) Resume(instanceID, reason string) *contract.Failure {
	return h.tell("resume", instanceID, reason)
}

func (h *host) Rewind(instanceID, reason string) *contract.Failure {
	return h.tell("rewind", instanceID, reason)
}

func (h *host) Restart(instanceID, newInstanceID string) (string, *contract.Failure) {
	id := h.idOfStarted(newInstanceID)
	return id, h.tell("restart", instanceID, "as", id)
}

func (h *host) Purge(instanceID string) (purged bool, failure *contract.Failure) {
	failure = h.askFor(&purged, "purge", instanceID)
	return purged, failure
}

func (h *host) PurgeInstances(filter string) (purged uint32, failure *contract.Failure) {
	failure = h.askFor(&purged, "purge-instances", filter)
	return purged, failure
}

// WaitForCompletion returns the status of a running instance if the script's answer takes longer than the timeout.
func (h *host) WaitForCompletion(instanceID string, timeout float64) (string, *contract.Failure) {
	limit := durationOf(timeout)
	action := h.act("wait-for-completion", instanceID, limit.String())
	outcome, takes := h.neededClientAnswers(action).call(h, action, nil)
	h.now = h.now.Add(min(takes, limit))
	if takes <= limit || outcome.Failure != nil {
		return outcome.Output, outcome.Failure
	}
	var status dacapo.InstanceStatus
	if err := json.Unmarshal([]byte(outcome.Output), &status); err != nil {
		h.t.Fatalf("the answer to %s is not the status of an instance: %v", action, err)
	}
	status.RuntimeStatus, status.Output = dacapo.StatusRunning, nil
	return encode(status), nil
}

func (h *host) ClientSignal(entity contract.EntityID, operation, input string, deliverAt *float64) *contract.Failure {
	return h.tell(signalOf(entity, operation, input, deliverAt)...)
}

func (h *host) Enqueue(queue string, messages []string, deliverAt *float64) *contract.Failure {
	return h.tell(append([]string{"enqueue", queue, encode(messages)}, at(deliverAt)...)...)
}

func (h *host) ReadEntity(entity contract.EntityID) (*string, *contract.Failure) {
	state, failure := h.ask("read-entity", nameOf(entity))
	if failure != nil || state == "null" {
		return nil, failure
	}
	return &state, nil
}

func (h *host) ListEntities(filter string) (string, *contract.Failure) {
	return h.ask("list-entities", filter)
}

// Links are no action. They are made up unless the script has an answer.
func (h *host) Links(instanceID string) (string, *contract.Failure) {
	if answers := h.clientAnswers("links " + instanceID); answers != nil {
		outcome := h.sleepThrough(answers, instanceID)
		return outcome.Output, outcome.Failure
	}
	instance := "http://localhost:7071/runtime/webhooks/durabletask/instances/" + instanceID
	return encode(dacapo.ManagementLinks{
		ID:                    instanceID,
		StatusQueryGetURI:     instance,
		SendEventPostURI:      instance + "/raiseEvent/{eventName}",
		TerminatePostURI:      instance + "/terminate?reason={text}",
		RewindPostURI:         instance + "/rewind?reason={text}",
		PurgeHistoryDeleteURI: instance,
		RestartPostURI:        instance + "/restart",
		SuspendPostURI:        instance + "/suspend?reason={text}",
		ResumePostURI:         instance + "/resume?reason={text}",
	}), nil
}

// ask makes a call that needs an answer.
func (h *host) ask(parts ...string) (string, *contract.Failure) {
	action := h.act(parts...)
	outcome := h.sleepThrough(h.neededClientAnswers(action), action)
	return outcome.Output, outcome.Failure
}

// askFor decodes the answer.
func (h *host) askFor(answer any, parts ...string) *contract.Failure {
	output, failure := h.ask(parts...)
	if failure != nil {
		return failure
	}
	if err := json.Unmarshal([]byte(output), answer); err != nil {
		h.t.Fatalf("the answer to %s is not a %T: %v", strings.Join(parts, " "), answer, err)
	}
	return nil
}

// tell makes a call that succeeds unless the script has an answer that fails it.
func (h *host) tell(parts ...string) *contract.Failure {
	action := h.act(parts...)
	answers := h.clientAnswers(action)
	if answers == nil {
		return nil
	}
	return h.sleepThrough(answers, action).Failure
}

// clientAnswers returns the answers to the longest beginning of an action that has any.
func (h *host) clientAnswers(action string) *answers {
	for beginning := action; beginning != ""; beginning = beginning[:max(strings.LastIndexByte(beginning, ' '), 0)] {
		if answers := h.script.answers["client "+beginning]; answers != nil {
			return answers
		}
	}
	return nil
}

func (h *host) neededClientAnswers(action string) *answers {
	answers := h.clientAnswers(action)
	if answers == nil {
		h.t.Fatalf("the script has no answer to: %s", action)
	}
	return answers
}

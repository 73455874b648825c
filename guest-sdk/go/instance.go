package dacapo

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A RuntimeStatus is what an instance is doing, or how it ended.
type RuntimeStatus string

// The runtime statuses.
const (
	StatusPending        RuntimeStatus = "Pending"
	StatusRunning        RuntimeStatus = "Running"
	StatusSuspended      RuntimeStatus = "Suspended"
	StatusContinuedAsNew RuntimeStatus = "ContinuedAsNew"
	StatusCompleted      RuntimeStatus = "Completed"
	StatusFailed         RuntimeStatus = "Failed"
	StatusTerminated     RuntimeStatus = "Terminated"
	StatusCanceled       RuntimeStatus = "Canceled"
)

// HasEnded reports whether an instance with this status has ended.
func (s RuntimeStatus) HasEnded() bool {
	switch s {
	case StatusCompleted, StatusFailed, StatusTerminated, StatusCanceled:
		return true
	default:
		return false
	}
}

// An InstanceStatus is the status of an instance. Payloads are JSON, null if there is none.
type InstanceStatus struct {
	Name          string        `json:"name"`
	InstanceID    string        `json:"instanceId"`
	RuntimeStatus RuntimeStatus `json:"runtimeStatus"`
	// Input is null if it was not asked for.
	Input        json.RawMessage `json:"input"`
	CustomStatus json.RawMessage `json:"customStatus"`
	// Output is the output, the message of a failure, or the reason of a termination.
	Output          json.RawMessage `json:"output"`
	CreatedTime     time.Time       `json:"createdTime"`
	LastUpdatedTime time.Time       `json:"lastUpdatedTime"`
	// Halted says why the host does not go on with the instance, which is suspended then; else it is empty.
	Halted string `json:"halted,omitempty"`
	// Version is the digest of the version of the app that the instance runs on, VersionLabel its label.
	Version      string `json:"version,omitempty"`
	VersionLabel string `json:"versionLabel,omitempty"`
	// History has the events of the history, if it was asked for.
	History []json.RawMessage `json:"historyEvents,omitempty"`
}

// A StatusOption changes what [Client.GetStatus] returns.
type StatusOption string

const (
	// WithHistory includes the history.
	WithHistory StatusOption = "showHistory"
	// WithHistoryOutput includes results in the history.
	WithHistoryOutput StatusOption = "showHistoryOutput"
	// WithoutInput leaves out inputs, also those in the history.
	WithoutInput StatusOption = "showInput"
)

// encodeStatusOptions converts options to JSON; an empty text means none.
func encodeStatusOptions(options []StatusOption) string {
	var members []string
	for _, option := range options {
		members = append(members, fmt.Sprintf("%q:%t", string(option), option != WithoutInput))
	}
	if len(members) == 0 {
		return ""
	}
	return "{" + strings.Join(members, ",") + "}"
}

// An InstanceFilter says which instances [Client.ListInstances] and [Client.PurgeInstances] are about. Members that are zero
// have no effect.
type InstanceFilter struct {
	// InstanceIDPrefix is how the ids begin; "@" selects entities.
	InstanceIDPrefix string          `json:"instanceIdPrefix,omitzero"`
	CreatedFrom      time.Time       `json:"createdTimeFrom,omitzero"`
	CreatedTo        time.Time       `json:"createdTimeTo,omitzero"`
	RuntimeStatus    []RuntimeStatus `json:"runtimeStatus,omitempty"`
	// FunctionName is the name of the orchestrator or entity.
	FunctionName string `json:"functionName,omitzero"`
	// Version is the version of the app that the instances run on: its label, or the first digits of its digest.
	Version string `json:"version,omitzero"`

	// WithoutInput leaves out inputs. It is for lists only, like all further members.
	WithoutInput bool `json:"-"`
	// Top is the most instances of a page.
	Top int `json:"top,omitzero"`
	// ContinuationToken is that of the page before.
	ContinuationToken string `json:"continuationToken,omitzero"`
}

// MarshalJSON converts the filter to the form that the host reads.
func (f InstanceFilter) MarshalJSON() ([]byte, error) {
	type members InstanceFilter
	if !f.WithoutInput {
		return json.Marshal(members(f))
	}
	return json.Marshal(struct {
		members
		ShowInput bool `json:"showInput"`
	}{members: members(f)})
}

// An InstancePage is a part of a list of instances.
type InstancePage struct {
	Instances []InstanceStatus `json:"instances"`
	// ContinuationToken gets the next page; empty if this is the last one.
	ContinuationToken string `json:"continuationToken,omitempty"`
}

// An EntityFilter says which entities [Client.ListEntities] returns. Members that are zero have no effect.
type EntityFilter struct {
	// EntityName is the name of the entity function.
	EntityName        string    `json:"entityName,omitzero"`
	LastOperationFrom time.Time `json:"lastOperationTimeFrom,omitzero"`
	LastOperationTo   time.Time `json:"lastOperationTimeTo,omitzero"`
	// FetchState includes the states.
	FetchState bool `json:"fetchState,omitzero"`
	// Top is the most entities of a page.
	Top int `json:"top,omitzero"`
	// ContinuationToken is that of the page before.
	ContinuationToken string `json:"continuationToken,omitzero"`
}

// An EntityStatus is an entity in a list.
type EntityStatus struct {
	ID            EntityID  `json:"entityId"`
	LastOperation time.Time `json:"lastOperationTime"`
	// State is null if it was not asked for, or there is none.
	State json.RawMessage `json:"state"`
}

// MarshalJSON converts the entity to the form that the host writes.
func (e EntityStatus) MarshalJSON() ([]byte, error) {
	type id struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	}
	return json.Marshal(struct {
		ID            id              `json:"entityId"`
		LastOperation time.Time       `json:"lastOperationTime"`
		State         json.RawMessage `json:"state"`
	}{id(e.ID), e.LastOperation, e.State})
}

// An EntityPage is a part of a list of entities.
type EntityPage struct {
	Entities []EntityStatus `json:"entities"`
	// ContinuationToken gets the next page; empty if this is the last one.
	ContinuationToken string `json:"continuationToken,omitempty"`
}

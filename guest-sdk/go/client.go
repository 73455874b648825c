package dacapo

import (
	"strings"
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// A Client is the durable client of the app's own task hub. Each [ActivityContext] and [TriggerContext] has one, so its
// methods are methods of the context too; pass ctx.Client to a function that needs nothing else.
//
// What it may do is granted to the app: a call that is not granted fails with "NotGranted", and the message says who can grant
// it. The error of each call is a [*Failure]. An operation on a missing instance fails with "InstanceNotFound", one that needs
// an instance that goes on with "InstanceEnded", one that needs an instance that has ended with "InstanceNotEnded".
type Client struct {
	host contract.Host
}

// StartOrchestration starts an orchestration that runs on its own, and returns its instance id once the start is durable.
//
//	id, err := ctx.StartOrchestration("invoice", order, dacapo.InstanceID("invoice-"+order.ID))
//	if dacapo.IsFailure(err, "InstanceAlreadyExists") {
//		return "it is being written", nil
//	}
//
// If the call of the activity or trigger is repeated after a crash, or because its message is delivered again, orchestrations
// that it has started are not started again, with or without an [InstanceID]. It fails with "OrchestratorNotFound", with
// "InstanceAlreadyExists" if a live instance with the id was not started by this call, and with "VersionMismatch" if no
// deployed version matches the [Version].
func (c Client) StartOrchestration(name string, input any, options ...ClientStartOption) (string, error) {
	text, err := encodeInput(input)
	if err != nil {
		return "", err
	}
	var with call
	for _, option := range options {
		option.startFromClient(&with)
	}
	start := contract.Start{
		Name:       name,
		Input:      text,
		InstanceID: with.instanceID,
		Version:    with.version,
		StartAt:    with.startAt,
	}
	id, failure := c.host.ClientStart(start)
	return id, errorOf(failure)
}

// GetStatus returns the status of an instance, or nil if there is none.
func (c Client) GetStatus(instanceID string, options ...StatusOption) (*InstanceStatus, error) {
	status, failure := c.host.GetStatus(instanceID, encodeStatusOptions(options))
	return answered[*InstanceStatus](status, failure, "the status of "+instanceID)
}

// ListInstances returns a page of the instances that match, in the order of their creation. To get all of them, call it until
// the page has no ContinuationToken:
//
//	filter := dacapo.InstanceFilter{RuntimeStatus: []dacapo.RuntimeStatus{dacapo.StatusFailed}}
//	for {
//		page, err := ctx.ListInstances(filter)
//		if err != nil {
//			return err
//		}
//		failed = append(failed, page.Instances...)
//		if filter.ContinuationToken = page.ContinuationToken; filter.ContinuationToken == "" {
//			return nil
//		}
//	}
func (c Client) ListInstances(filter InstanceFilter) (*InstancePage, error) {
	text, err := encodeInput(filter)
	if err != nil {
		return nil, err
	}
	page, failure := c.host.ListInstances(text)
	return answered[*InstancePage](page, failure, "a page of instances")
}

// RaiseEvent raises an external event for an instance. It returns once the event is durable.
func (c Client) RaiseEvent(instanceID, name string, data any) error {
	text, err := encodeInput(data)
	if err != nil {
		return err
	}
	return errorOf(c.host.RaiseEvent(instanceID, name, text))
}

// Terminate ends an instance. Its sub-orchestrations go on.
func (c Client) Terminate(instanceID, reason string) error {
	return errorOf(c.host.Terminate(instanceID, reason))
}

// Suspend suspends an instance: its messages wait until it is resumed.
func (c Client) Suspend(instanceID, reason string) error {
	return errorOf(c.host.Suspend(instanceID, reason))
}

// Resume resumes an instance.
func (c Client) Resume(instanceID, reason string) error {
	return errorOf(c.host.Resume(instanceID, reason))
}

// Rewind brings a failed instance back to the state before its failure. It fails with "NotRewindable" if the instance has not
// failed.
func (c Client) Rewind(instanceID, reason string) error {
	return errorOf(c.host.Rewind(instanceID, reason))
}

// Restart starts an orchestration anew with its recorded input, and returns the id of the new instance: the [InstanceID], or
// one that the host generates.
func (c Client) Restart(instanceID string, options ...RestartOption) (string, error) {
	var with call
	for _, option := range options {
		option.restart(&with)
	}
	id, failure := c.host.Restart(instanceID, with.instanceID)
	return id, errorOf(failure)
}

// Purge removes every trace of an instance that has ended, or of an entity. It returns whether there was one.
func (c Client) Purge(instanceID string) (bool, error) {
	purged, failure := c.host.Purge(instanceID)
	return purged, errorOf(failure)
}

// PurgeInstances removes all instances that match and have ended, and returns how many. The filter needs CreatedFrom, and must
// not have members that are for lists only.
func (c Client) PurgeInstances(filter InstanceFilter) (int, error) {
	text, err := encodeInput(filter)
	if err != nil {
		return 0, err
	}
	purged, failure := c.host.PurgeInstances(text)
	return int(purged), errorOf(failure)
}

// WaitForCompletion waits until an instance has ended, but at most for the timeout, and returns its status then, or nil if
// there is no such instance.
func (c Client) WaitForCompletion(instanceID string, timeout time.Duration) (*InstanceStatus, error) {
	status, failure := c.host.WaitForCompletion(instanceID, milliseconds(timeout))
	return answered[*InstanceStatus](status, failure, "the status of "+instanceID)
}

// SignalEntity sends a one-way operation to an entity. It returns once the operation is durable.
func (c Client) SignalEntity(entity EntityID, operation string, input any) error {
	return c.signal(entity, operation, input, nil)
}

// SignalEntityAt sends a one-way operation that does not run before a point in time.
func (c Client) SignalEntityAt(entity EntityID, operation string, input any, at time.Time) error {
	moment := float64(at.UnixMilli())
	return c.signal(entity, operation, input, &moment)
}

func (c Client) signal(entity EntityID, operation string, input any, at *float64) error {
	text, err := encodeInput(input)
	if err != nil {
		return err
	}
	return errorOf(c.host.ClientSignal(contract.EntityID(entity), operation, text, at))
}

// Enqueue puts messages into a queue: a string as it is, anything else as JSON. It returns once they are durable. A message waits
// until an app has a trigger for its queue. If the call of the activity or trigger is repeated, the messages that it has put are
// not put again.
//
//	err := ctx.Enqueue("orders", "a lamp", Order{Item: "a desk"})
func (c Client) Enqueue(queue string, messages ...any) error {
	return c.enqueue(queue, messages, nil)
}

// EnqueueAt puts messages into a queue that are not delivered before a point in time.
func (c Client) EnqueueAt(queue string, at time.Time, messages ...any) error {
	moment := float64(at.UnixMilli())
	return c.enqueue(queue, messages, &moment)
}

func (c Client) enqueue(queue string, messages []any, at *float64) error {
	texts := make([]string, len(messages))
	for i, message := range messages {
		text, isText := message.(string)
		if !isText {
			var err error
			if text, err = encodeInput(message); err != nil {
				return err
			}
		}
		texts[i] = text
	}
	return errorOf(c.host.Enqueue(queue, texts, at))
}

// ReadEntity returns the state of an entity, or nil if there is no such entity or it has no state.
//
//	balance, err := dacapo.ReadEntity[int](ctx.Client, dacapo.EntityID{Name: "account", Key: "ada"})
func ReadEntity[State any](c Client, entity EntityID) (*State, error) {
	text, failure := c.host.ReadEntity(contract.EntityID(entity))
	if failure != nil {
		return nil, fromContract(failure)
	}
	if text == nil {
		return nil, nil
	}
	state, err := decode[State](*text, failureInvalidOutput, "the state of "+entity.String())
	if err != nil {
		return nil, err
	}
	return &state, nil
}

// ListEntities returns a page of the entities that match. See [Client.ListInstances].
func (c Client) ListEntities(filter EntityFilter) (*EntityPage, error) {
	text, err := encodeInput(filter)
	if err != nil {
		return nil, err
	}
	page, failure := c.host.ListEntities(text)
	return answered[*EntityPage](page, failure, "a page of entities")
}

// ManagementLinks are the addresses for managing an instance over HTTP. They can be passed to an external system.
type ManagementLinks struct {
	ID                    string `json:"id"`
	StatusQueryGetURI     string `json:"statusQueryGetUri"`
	SendEventPostURI      string `json:"sendEventPostUri"`
	TerminatePostURI      string `json:"terminatePostUri"`
	RewindPostURI         string `json:"rewindPostUri"`
	PurgeHistoryDeleteURI string `json:"purgeHistoryDeleteUri"`
	RestartPostURI        string `json:"restartPostUri"`
	SuspendPostURI        string `json:"suspendPostUri"`
	ResumePostURI         string `json:"resumePostUri"`
}

// Links returns the management links of an instance.
func (c Client) Links(instanceID string) (*ManagementLinks, error) {
	links, failure := c.host.Links(instanceID)
	return answered[*ManagementLinks](links, failure, "the links of "+instanceID)
}

// CreateCheckStatusResponse returns the response by which an HTTP trigger tells its caller how to follow an instance: 202 with
// the [ManagementLinks], and the address of the status as the Location. The links begin like the address of the request; if
// that is nil, like the host's own.
func (c Client) CreateCheckStatusResponse(request *HTTPTriggerRequest, instanceID string) (*HTTPTriggerResponse, error) {
	links, err := c.Links(instanceID)
	if err != nil {
		return nil, err
	}
	if request != nil {
		links.moveTo(originOf(request.URL))
	}
	response, err := JSONResponse(202, links)
	if err != nil {
		return nil, err
	}
	response.Headers.Set("Location", links.StatusQueryGetURI)
	response.Headers.Set("Retry-After", "10")
	return response, nil
}

// WaitForCompletionOrCreateCheckStatusResponse waits until an instance has ended, and returns a response with its output; for
// a failed one, 500 with its status; for a terminated one, its status. After the timeout it returns the response of
// [Client.CreateCheckStatusResponse]; if there is no such instance, 404.
func (c Client) WaitForCompletionOrCreateCheckStatusResponse(request *HTTPTriggerRequest, instanceID string,
	timeout time.Duration) (*HTTPTriggerResponse, error) {
	status, err := c.WaitForCompletion(instanceID, timeout)
	switch {
	case err != nil:
		return nil, err
	case status == nil:
		return &HTTPTriggerResponse{Status: 404}, nil
	case status.RuntimeStatus == StatusCompleted:
		return JSONResponse(200, status.Output)
	case status.RuntimeStatus == StatusFailed:
		return JSONResponse(500, status)
	case status.RuntimeStatus.HasEnded():
		return JSONResponse(200, status)
	default:
		return c.CreateCheckStatusResponse(request, instanceID)
	}
}

// moveTo replaces the origins of the links.
func (l *ManagementLinks) moveTo(origin string) {
	for _, link := range []*string{
		&l.StatusQueryGetURI, &l.SendEventPostURI, &l.TerminatePostURI, &l.RewindPostURI, &l.PurgeHistoryDeleteURI,
		&l.RestartPostURI, &l.SuspendPostURI, &l.ResumePostURI,
	} {
		if before := originOf(*link); before != "" && origin != "" {
			*link = origin + (*link)[len(before):]
		}
	}
}

// originOf returns the scheme and the authority of a URL; empty if it has none.
func originOf(address string) string {
	scheme, rest, isAbsolute := strings.Cut(address, "://")
	if !isAbsolute {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return scheme + "://" + rest
}

// answered decodes the answer to a call of the client.
func answered[T any](text string, failure *contract.Failure, what string) (T, error) {
	if failure != nil {
		var none T
		return none, fromContract(failure)
	}
	return decode[T](text, failureInvalidOutput, what)
}

// errorOf returns nil if there is no failure.
func errorOf(failure *contract.Failure) error {
	if failure == nil {
		return nil
	}
	return fromContract(failure)
}

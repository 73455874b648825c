package dacapo

import (
	"encoding/json"
	"time"
)

// TimerTrigger registers a trigger that runs on a schedule: six fields with seconds first, five fields, or a time span. Call
// it in an init function.
//
//	dacapo.TimerTrigger("clean_up", "0 30 3 * * *", cleanUp)
func TimerTrigger(name, schedule string, run func(ctx *TriggerContext, timer TimerInfo) error, options ...TimerTriggerOption) {
	t := newTrigger(name, binding{Type: "timerTrigger", Name: "timer", Schedule: schedule})
	for _, option := range options {
		option.timerTrigger(t)
	}
	t.inputOf = encodeInput
	t.fire = func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error) {
		timer, err := decode[TimerInfo](input, failureInvalidInput, "the input of `"+name+"`")
		if err != nil {
			return nil, err
		}
		return nil, run(ctx, timer)
	}
	t.register()
}

type timerFlag int

// Options of [TimerTrigger].
const (
	// RunOnStartup runs the trigger also when the host starts or the app is deployed.
	RunOnStartup timerFlag = iota
	// WithoutMonitor does not make up for an occurrence that was missed while no host ran.
	WithoutMonitor
)

func (f timerFlag) timerTrigger(t *trigger) {
	switch f {
	case RunOnStartup:
		t.starts.RunOnStartup = true
	case WithoutMonitor:
		t.starts.UseMonitor = new(bool)
	}
}

// A TimerInfo says why a timer trigger runs.
type TimerInfo struct {
	// IsPastDue is set if the trigger runs later than scheduled.
	IsPastDue bool `json:"isPastDue"`
	Schedule  struct {
		AdjustForDST bool `json:"adjustForDST"`
	} `json:"schedule"`
	ScheduleStatus ScheduleStatus `json:"scheduleStatus"`
}

// A ScheduleStatus has the last and the next occurrence of a schedule; zero if there is none.
type ScheduleStatus struct {
	Last        time.Time `json:"last"`
	Next        time.Time `json:"next"`
	LastUpdated time.Time `json:"lastUpdated"`
}

// QueueTrigger registers a trigger that runs for each message of a queue. Call it in an init function. A message whose trigger
// fails is delivered again later, and after too many attempts goes to the poison queue. T is string for messages as they are;
// any other type is read from JSON.
//
//	dacapo.QueueTrigger("ship", "shipments", func(ctx *dacapo.TriggerContext, message dacapo.QueueMessage[Order]) error {
//		_, err := ctx.StartOrchestration("order", message.Value)
//		return err
//	})
func QueueTrigger[T any](name, queue string, run func(ctx *TriggerContext, message QueueMessage[T]) error, outputs ...OutputBinding) {
	t := newTrigger(name, binding{Type: "queueTrigger", Name: "item", QueueName: queue}, outputs...)
	t.inputOf = queueInput[T]
	t.fire = func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error) {
		wire, err := decode[wireQueueInput](input, failureInvalidInput, "the input of `"+name+"`")
		if err != nil {
			return nil, err
		}
		if wire.Input != nil {
			wire.Message = *wire.Input
		}
		value, err := readMessage[T](wire.Message, "the message for `"+name+"`")
		if err != nil {
			return nil, err
		}
		return nil, run(ctx, QueueMessage[T]{value, wire.Metadata})
	}
	t.register()
}

// A QueueMessage is a message of a queue.
type QueueMessage[T any] struct {
	Value T
	QueueMetadata
}

// QueueMetadata says what the queue knows of a message. It is zero if an operator runs the trigger.
type QueueMetadata struct {
	ID string `json:"id"`
	// DequeueCount is 1 for the first delivery, then 2, and so on.
	DequeueCount    int       `json:"dequeueCount"`
	InsertionTime   time.Time `json:"insertionTime"`
	ExpirationTime  time.Time `json:"expirationTime"`
	NextVisibleTime time.Time `json:"nextVisibleTime"`
	PopReceipt      string    `json:"popReceipt"`
}

type wireQueueInput struct {
	Message  string        `json:"message"`
	Metadata QueueMetadata `json:"metadata"`
	operatorRun
}

func queueInput[T any](value any) (string, error) {
	message, isMessage := value.(QueueMessage[T])
	if !isMessage {
		return operatorInput(value)
	}
	text, err := writeMessage(message.Value)
	if err != nil {
		return "", err
	}
	return encodeInput(wireQueueInput{Message: text, Metadata: message.QueueMetadata})
}

// EventHubTrigger registers a trigger that runs for batches of events of an event hub. Call it in an init function. T is
// string for events as they are; any other type is read from JSON.
func EventHubTrigger[T any](name, eventHub string, run func(ctx *TriggerContext, events []EventHubEvent[T]) error,
	options ...EventHubTriggerOption) {
	t := newTrigger(name, binding{Type: "eventHubTrigger", Name: "events", EventHubName: eventHub, Cardinality: "many"})
	for _, option := range options {
		option.eventHubTrigger(t)
	}
	t.inputOf = eventHubInput[T]
	t.fire = func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error) {
		events, err := readEvents[T](input, name)
		if err != nil {
			return nil, err
		}
		return nil, run(ctx, events)
	}
	t.register()
}

type eventHubFlag int

// OneEventPerCall is an option of [EventHubTrigger]: each call has one event instead of a batch.
const OneEventPerCall eventHubFlag = 0

func (eventHubFlag) eventHubTrigger(t *trigger) { t.starts.Cardinality = "one" }

// An EventHubEvent is an event of an event hub.
type EventHubEvent[T any] struct {
	Value T
	EventHubMetadata
}

// EventHubMetadata says what the event hub knows of an event. It is zero if an operator runs the trigger.
type EventHubMetadata struct {
	SequenceNumber int64     `json:"sequenceNumber"`
	EnqueuedTime   time.Time `json:"enqueuedTime"`
	Offset         string    `json:"offset"`
	PartitionKey   string    `json:"partitionKey"`
}

type wireEventHubInput struct {
	Messages []string           `json:"messages"`
	Metadata []EventHubMetadata `json:"metadata"`
	operatorRun
}

func readEvents[T any](input, name string) ([]EventHubEvent[T], error) {
	wire, err := decode[wireEventHubInput](input, failureInvalidInput, "the input of `"+name+"`")
	if err != nil {
		return nil, err
	}
	if wire.Input != nil {
		wire.Messages = []string{*wire.Input}
	}
	events := make([]EventHubEvent[T], len(wire.Messages))
	for i, message := range wire.Messages {
		if events[i].Value, err = readMessage[T](message, "an event for `"+name+"`"); err != nil {
			return nil, err
		}
		if i < len(wire.Metadata) {
			events[i].EventHubMetadata = wire.Metadata[i]
		}
	}
	return events, nil
}

func eventHubInput[T any](value any) (string, error) {
	events, isBatch := value.([]EventHubEvent[T])
	if !isBatch {
		return operatorInput(value)
	}
	var wire wireEventHubInput
	for _, event := range events {
		text, err := writeMessage(event.Value)
		if err != nil {
			return "", err
		}
		wire.Messages = append(wire.Messages, text)
		wire.Metadata = append(wire.Metadata, event.EventHubMetadata)
	}
	return encodeInput(wire)
}

// EventGridTrigger registers a trigger that runs for each event that an event grid delivers, in its own schema or that of
// CloudEvents 1.0. Call it in an init function. T is the type of the event's data.
func EventGridTrigger[T any](name string, run func(ctx *TriggerContext, event EventGridEvent[T]) error, outputs ...OutputBinding) {
	t := newTrigger(name, binding{Type: "eventGridTrigger", Name: "event"}, outputs...)
	t.inputOf = eventGridInput[T]
	t.fire = func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error) {
		event, err := readEventGridEvent[T](input, name)
		if err != nil {
			return nil, err
		}
		return nil, run(ctx, event)
	}
	t.register()
}

// An EventGridEvent is an event of an event grid.
type EventGridEvent[T any] struct {
	ID string
	// Source is the topic of an event in the event grid's own schema.
	Source  string
	Subject string
	// Type is the type of the event.
	Type string
	Time time.Time
	Data T
	// JSON is the whole event.
	JSON json.RawMessage
}

// wireEventGridEvent has the members of both schemas.
type wireEventGridEvent struct {
	ID        string          `json:"id"`
	Topic     string          `json:"topic,omitzero"`
	Source    string          `json:"source,omitzero"`
	Subject   string          `json:"subject,omitzero"`
	EventType string          `json:"eventType,omitzero"`
	Type      string          `json:"type,omitzero"`
	EventTime time.Time       `json:"eventTime,omitzero"`
	Time      time.Time       `json:"time,omitzero"`
	Data      json.RawMessage `json:"data,omitzero"`
	// SpecVersion is that of CloudEvents.
	SpecVersion string `json:"specversion,omitzero"`
}

type wireEventGridInput struct {
	Event json.RawMessage `json:"event,omitzero"`
	operatorRun
}

func readEventGridEvent[T any](input, name string) (event EventGridEvent[T], err error) {
	given, err := decode[wireEventGridInput](input, failureInvalidInput, "the input of `"+name+"`")
	if err != nil {
		return event, err
	}
	if given.Input != nil {
		given.Event = json.RawMessage(*given.Input)
	}
	wire, err := decode[wireEventGridEvent](string(given.Event), failureInvalidInput, "the event for `"+name+"`")
	if err != nil {
		return event, err
	}
	event = EventGridEvent[T]{
		ID:      wire.ID,
		Source:  wire.Source,
		Subject: wire.Subject,
		Type:    wire.Type,
		Time:    wire.Time,
		JSON:    given.Event,
	}
	if wire.SpecVersion == "" {
		event.Source, event.Type, event.Time = wire.Topic, wire.EventType, wire.EventTime
	}
	if len(wire.Data) > 0 {
		event.Data, err = decode[T](string(wire.Data), failureInvalidInput, "the data of the event for `"+name+"`")
	}
	return event, err
}

func eventGridInput[T any](value any) (string, error) {
	event, isEvent := value.(EventGridEvent[T])
	if !isEvent {
		return operatorInput(value)
	}
	data, err := encodeInput(event.Data)
	if err != nil {
		return "", err
	}
	wire, err := encodeInput(wireEventGridEvent{
		ID:        event.ID,
		Topic:     event.Source,
		Subject:   event.Subject,
		EventType: event.Type,
		EventTime: event.Time,
		Data:      json.RawMessage(data),
	})
	if event.JSON != nil {
		wire = string(event.JSON)
	}
	if err != nil {
		return "", err
	}
	return encodeInput(wireEventGridInput{Event: json.RawMessage(wire)})
}

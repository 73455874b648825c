package dacapo

import (
	"encoding/json"
	"fmt"

	"dacapo.dev/sdk/internal/contract"
)

// A TriggerContext is the context of one call of a trigger. It holds the durable client.
type TriggerContext struct {
	Client
	outside
	call     contract.TriggerCall
	messages map[string][]json.RawMessage // by the name of the output binding
}

// InvocationID identifies the call. It stays the same when the call is repeated: a message that is delivered again, an
// occurrence of a schedule after a crash. A request over HTTP is never repeated by the host.
func (ctx *TriggerContext) InvocationID() string { return ctx.call.InvocationID }

// Attempt is 1 for the first time that the call is made, then 2, and so on.
func (ctx *TriggerContext) Attempt() int { return int(ctx.call.Attempt) }

// Output adds a message to an output binding of the trigger: a string as it is, anything else as JSON. Messages are sent when
// the trigger has succeeded.
func (ctx *TriggerContext) Output(binding string, message any) error {
	if _, isDeclared := ctx.messages[binding]; !isDeclared {
		return &Failure{
			Type:         failureInvalidOutput,
			Message:      fmt.Sprintf("the trigger `%s` has no output binding `%s`: add it where the trigger is registered", ctx.call.Name, binding),
			NotRetriable: true,
		}
	}
	text, err := encodeOutput(message, "a message for the output binding `"+binding+"`")
	if err == nil {
		ctx.messages[binding] = append(ctx.messages[binding], json.RawMessage(text))
	}
	return err
}

// An OutputBinding is a queue or an event hub that a trigger sends messages to, with [TriggerContext.Output]. It is an option
// of every trigger.
type OutputBinding struct {
	binding binding
}

// QueueOutput makes an output binding for a queue.
func QueueOutput(name, queue string) OutputBinding {
	return OutputBinding{binding{Type: "queue", Direction: "out", Name: name, QueueName: queue}}
}

// EventHubOutput makes an output binding for an event hub.
func EventHubOutput(name, eventHub string) OutputBinding {
	return OutputBinding{binding{Type: "eventHub", Direction: "out", Name: name, EventHubName: eventHub}}
}

// An HTTPTriggerOption changes an HTTP trigger: [Route], [Methods], an [AuthLevel] or an [OutputBinding].
type HTTPTriggerOption interface {
	httpTrigger(*trigger)
}

// A TimerTriggerOption changes a timer trigger: [RunOnStartup], [WithoutMonitor] or an [OutputBinding].
type TimerTriggerOption interface {
	timerTrigger(*trigger)
}

// An EventHubTriggerOption changes an event-hub trigger: [OneEventPerCall] or an [OutputBinding].
type EventHubTriggerOption interface {
	eventHubTrigger(*trigger)
}

func (o OutputBinding) httpTrigger(t *trigger)     { t.add(o) }
func (o OutputBinding) timerTrigger(t *trigger)    { t.add(o) }
func (o OutputBinding) eventHubTrigger(t *trigger) { t.add(o) }

// ManualTrigger registers a trigger that an operator runs. Call it in an init function. A string as the input is the
// operator's text as it is; any other type is read from JSON, and is zero if the text is empty.
func ManualTrigger[In any](name string, run func(ctx *TriggerContext, in In) error, outputs ...OutputBinding) {
	t := newTrigger(name, binding{Type: "manualTrigger", Name: "input"}, outputs...)
	t.inputOf = operatorInput
	t.fire = func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error) {
		given, err := decode[operatorRun](input, failureInvalidInput, "the input of `"+name+"`")
		if err != nil {
			return nil, err
		}
		in, err := readMessage[In](given.text(), "the input of `"+name+"`")
		if err != nil {
			return nil, err
		}
		return nil, run(ctx, in)
	}
	t.register()
}

// A binding is what starts a trigger, or where its output goes, in the form of a function.json.
type binding struct {
	Type         string   `json:"type"`
	Direction    string   `json:"direction"`
	Name         string   `json:"name"`
	Methods      []string `json:"methods,omitempty"`
	Route        *string  `json:"route,omitempty"`
	AuthLevel    string   `json:"authLevel,omitempty"`
	Schedule     string   `json:"schedule,omitempty"`
	RunOnStartup bool     `json:"runOnStartup,omitempty"`
	UseMonitor   *bool    `json:"useMonitor,omitempty"`
	QueueName    string   `json:"queueName,omitempty"`
	EventHubName string   `json:"eventHubName,omitempty"`
	Cardinality  string   `json:"cardinality,omitempty"`
}

// A trigger is a trigger that is being registered.
type trigger struct {
	name    string
	starts  binding
	outputs []binding
	// fire runs the function. Only an HTTP trigger has a response.
	fire func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error)
	// inputOf converts what the function takes to the input of a call, for tests.
	inputOf func(value any) (string, error)
}

func newTrigger(name string, starts binding, outputs ...OutputBinding) *trigger {
	starts.Direction = "in"
	t := &trigger{name: name, starts: starts}
	for _, output := range outputs {
		t.add(output)
	}
	return t
}

func (t *trigger) add(output OutputBinding) {
	t.outputs = append(t.outputs, output.binding)
}

func (t *trigger) register() {
	bindings, err := encode(append([]binding{t.starts}, t.outputs...))
	if err != nil {
		panic(fmt.Sprintf("dacapo: the bindings of the trigger %q cannot be written as JSON: %v", t.name, err))
	}
	contract.Register(contract.Function{
		Name:     t.name,
		Kind:     contract.Trigger,
		Bindings: bindings,
		Fire: func(host contract.Host, call contract.TriggerCall) (string, *contract.Failure) {
			return settle(t.run(host, call))
		},
		InputOf: t.inputOf,
	})
}

// run runs the function and returns its output in the form that the host reads.
func (t *trigger) run(host contract.Host, call contract.TriggerCall) (output string, err error) {
	defer catchPanic(&err)
	ctx := &TriggerContext{Client{host}, outside{host}, call, map[string][]json.RawMessage{}}
	for _, output := range t.outputs {
		if output.Type != httpOutput {
			ctx.messages[output.Name] = nil
		}
	}
	response, err := t.fire(ctx, call.Input)
	if err != nil {
		return "", err
	}
	for name, messages := range ctx.messages {
		if len(messages) == 0 {
			delete(ctx.messages, name)
		}
	}
	if response == nil && len(ctx.messages) == 0 {
		return "null", nil
	}
	return encodeOutput(struct {
		Response *HTTPTriggerResponse         `json:"response,omitempty"`
		Outputs  map[string][]json.RawMessage `json:"outputs,omitempty"`
	}{response, ctx.messages}, "the output of `"+t.name+"`")
}

// operatorRun is the input of a trigger that an operator runs, whatever starts it otherwise.
type operatorRun struct {
	Input *string `json:"input,omitempty"`
}

func (r operatorRun) text() string {
	if r.Input == nil {
		return ""
	}
	return *r.Input
}

func operatorInput(value any) (string, error) {
	text, err := writeMessage(value)
	if err != nil {
		return "", err
	}
	return encodeInput(operatorRun{&text})
}

// readMessage reads the text of a message: a string or bytes as they are, any other type from JSON. An empty text is zero.
func readMessage[T any](text, what string) (value T, err error) {
	switch value := any(&value).(type) {
	case *string:
		*value = text
	case *[]byte:
		*value = []byte(text)
	default:
		if text != "" {
			return decode[T](text, failureInvalidInput, what)
		}
	}
	return value, nil
}

// writeMessage is the reverse of readMessage.
func writeMessage(value any) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case []byte:
		return string(value), nil
	default:
		return encodeInput(value)
	}
}

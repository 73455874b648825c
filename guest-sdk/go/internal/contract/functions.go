package contract

import (
	"fmt"
	"slices"
)

// A Kind is the kind of a function.
type Kind uint8

// The kinds. The contract numbers the first three of them like this, and describes triggers apart.
const (
	Orchestrator Kind = iota
	Activity
	Entity
	Trigger
)

func (k Kind) String() string {
	return [...]string{"orchestrator", "activity", "entity", "trigger"}[k]
}

// An ActivityCall is one call of an activity.
type ActivityCall struct {
	Name       string
	Input      string
	InstanceID string
	TaskID     uint32
	Attempt    uint32
}

// An EntityOperation is one operation on an entity.
type EntityOperation struct {
	Entity    EntityID
	Operation string
	Input     string
	State     *string // none if there is none
}

// An EntityResult is the result of an operation that succeeded.
type EntityResult struct {
	Output string
	State  *string // none deletes it
}

// A TriggerCall is one call of a trigger.
type TriggerCall struct {
	Name         string
	Input        string
	InvocationID string
	Attempt      uint32
}

// A Function is one function of the app. Only what its kind has is set.
type Function struct {
	Name        string
	Kind        Kind
	Orchestrate func(host Host, input string) (string, *Failure)
	Act         func(host Host, call ActivityCall) (string, *Failure)
	Operate     func(host Host, operation EntityOperation) (EntityResult, *Failure)

	// Bindings of a trigger are a JSON array.
	Bindings string
	Fire     func(host Host, call TriggerCall) (string, *Failure)
	// InputOf converts what the function of a trigger takes to the input of a call, for tests.
	InputOf func(value any) (string, error)
}

var functions []Function

// Register adds a function to the app. It panics if the name is in use, which shows when the app is deployed.
func Register(function Function) {
	for _, other := range functions {
		if other.Name == function.Name {
			panic(fmt.Sprintf("dacapo: the %s %q has the name of another function", function.Kind, function.Name))
		}
	}
	functions = append(functions, function)
}

// OfKinds returns the functions of the app that are of one of the kinds, in the order of their registration.
func OfKinds(kinds ...Kind) (found []Function) {
	for _, function := range functions {
		if slices.Contains(kinds, function.Kind) {
			found = append(found, function)
		}
	}
	return found
}

// Find finds a function.
func Find(kind Kind, name string) (Function, *Failure) {
	for _, function := range functions {
		if function.Kind == kind && function.Name == name {
			return function, nil
		}
	}
	failureType := [...]string{"OrchestratorNotFound", "ActivityNotFound", "EntityNotFound", "TriggerNotFound"}[kind]
	return Function{}, &Failure{Type: failureType, Message: fmt.Sprintf("this app has no %s %q", kind, name)}
}

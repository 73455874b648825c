package contract

import "fmt"

// A Kind is the kind of a function.
type Kind uint8

// The kinds, as the contract numbers them.
const (
	Orchestrator Kind = iota
	Activity
	Entity
)

func (k Kind) String() string {
	return [...]string{"orchestrator", "activity", "entity"}[k]
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

// A Function is one function of the app. Only the body for its kind is set.
type Function struct {
	Name        string
	Kind        Kind
	Orchestrate func(host Host, input string) (string, *Failure)
	Act         func(host Host, call ActivityCall) (string, *Failure)
	Operate     func(host Host, operation EntityOperation) (EntityResult, *Failure)
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

// Functions returns the functions of the app, in the order of their registration.
func Functions() []Function {
	return functions
}

// Find finds a function.
func Find(kind Kind, name string) (Function, *Failure) {
	for _, function := range functions {
		if function.Kind == kind && function.Name == name {
			return function, nil
		}
	}
	failureType := [...]string{"OrchestratorNotFound", "ActivityNotFound", "EntityNotFound"}[kind]
	return Function{}, &Failure{Type: failureType, Message: fmt.Sprintf("this app has no %s %q", kind, name)}
}

package contract

import "fmt"

// A Kind is what a function is.
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

// An EntityResult is what an operation that succeeded leads to.
type EntityResult struct {
	Output string
	State  *string // none deletes it
}

// A Function is one function of the app. It has the one of its three bodies that its kind says.
type Function struct {
	Name        string
	Kind        Kind
	Orchestrate func(host Host, input string) (string, *Failure)
	Act         func(host Host, call ActivityCall) (string, *Failure)
	Operate     func(host Host, operation EntityOperation) (EntityResult, *Failure)
}

var functions []Function

// Register adds a function to the app. It panics if there is one of that name: this is found when the app is deployed.
func Register(function Function) {
	for _, other := range functions {
		if other.Name == function.Name {
			panic(fmt.Sprintf("dacapo: the %s %q has the name of another function", function.Kind, function.Name))
		}
	}
	functions = append(functions, function)
}

// Functions are those of the app, in the order in which they were registered.
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

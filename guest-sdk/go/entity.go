package dacapo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dacapo.dev/sdk/internal/contract"
)

// An EntityID is the id of an entity: the name of its function and a key.
type EntityID struct {
	Name string
	Key  string
}

// String returns @name@key.
func (id EntityID) String() string {
	return "@" + id.Name + "@" + id.Key
}

// Entity registers an entity: durable state with operations that run one after another. Each key has its own entity, which
// is created by its first operation. Call it in an init function.
//
// State is any type that can be converted to JSON; the initial state is its zero value. The operations are its methods:
//
//	type Counter struct{ Value int }
//
//	func (c *Counter) Add(_ *dacapo.EntityContext, amount int) (int, error) {
//		c.Value += amount
//		return c.Value, nil
//	}
//
//	func init() {
//		dacapo.Entity("counter", dacapo.Operation("add", (*Counter).Add))
//	}
//
// Names of operations are compared ignoring case. Unless the entity has an operation "delete", one of that name deletes
// the state. An operation never waits; one that fails changes nothing.
func Entity[State any](name string, operations ...EntityOperation[State]) {
	operations = append(slices.Clip(operations), Operation("delete", deleteState[State]))
	contract.Register(contract.Function{
		Name: name,
		Kind: contract.Entity,
		Operate: func(host contract.Host, wanted contract.EntityOperation) (contract.EntityResult, *contract.Failure) {
			result, err := operate(&EntityContext{effects: effects{host}, wanted: wanted}, operations)
			if err != nil {
				return contract.EntityResult{}, failureOf(err).toContract()
			}
			return result, nil
		},
	})
}

// An EntityOperation is one operation of an entity. See [Operation].
type EntityOperation[State any] struct {
	name string
	run  func(state *State, ctx *EntityContext) (string, error)
}

// Operation makes an operation from a method of the state.
func Operation[State, In, Out any](name string, run func(state *State, ctx *EntityContext, in In) (Out, error)) EntityOperation[State] {
	return EntityOperation[State]{name, func(state *State, ctx *EntityContext) (string, error) {
		function := ctx.wanted.Entity.Name + "." + name
		return apply(function, ctx.wanted.Input, func(in In) (Out, error) { return run(state, ctx, in) })
	}}
}

func deleteState[State any](_ *State, ctx *EntityContext, _ any) (any, error) {
	ctx.DeleteState()
	return nil, nil
}

func operate[State any](ctx *EntityContext, operations []EntityOperation[State]) (result contract.EntityResult, err error) {
	defer catchPanic(&err)
	operation, err := findOperation(ctx, operations)
	if err != nil {
		return result, err
	}
	var state State
	if ctx.wanted.State != nil {
		state, err = decode[State](*ctx.wanted.State, failureInvalidInput, "the state of "+ctx.ID().String())
		if err != nil {
			return result, err
		}
	}
	if result.Output, err = operation.run(&state, ctx); err != nil || ctx.deleted {
		return result, err
	}
	after, err := encodeOutput(&state, "the state of "+ctx.ID().String())
	result.State = &after
	return result, err
}

func findOperation[State any](ctx *EntityContext, operations []EntityOperation[State]) (EntityOperation[State], error) {
	for _, operation := range operations {
		if strings.EqualFold(operation.name, ctx.wanted.Operation) {
			return operation, nil
		}
	}
	return EntityOperation[State]{}, &Failure{
		Type:         failureOperationNotFound,
		Message:      fmt.Sprintf("the entity `%s` has no operation `%s`", ctx.wanted.Entity.Name, ctx.wanted.Operation),
		NotRetriable: true,
	}
}

// An EntityContext is the context of an operation of an entity.
type EntityContext struct {
	effects
	wanted  contract.EntityOperation
	deleted bool
}

// ID is the id of this entity.
func (ctx *EntityContext) ID() EntityID {
	return EntityID(ctx.wanted.Entity)
}

// Operation is the name of the operation, as the sender spelled it.
func (ctx *EntityContext) Operation() string {
	return ctx.wanted.Operation
}

// DeleteState deletes the state once the operation returns.
func (ctx *EntityContext) DeleteState() {
	ctx.deleted = true
}

// CallEntity schedules an operation of an entity. The entity is created if it does not exist.
func CallEntity[R any](ctx *Context, entity EntityID, operation string, input any) *Task[R] {
	text, err := encodeInput(input)
	if err != nil {
		return failed[R](ctx, err)
	}
	task := ctx.host.CallEntity(contract.EntityID(entity), operation, text)
	return scheduled[R](ctx, task, failureInvalidOutput, fmt.Sprintf("the result of `%s` of %s", operation, entity))
}

// SignalEntity sends a one-way operation to an entity.
func (ctx *effects) SignalEntity(entity EntityID, operation string, input any) error {
	return ctx.signal(entity, operation, input, nil)
}

// SignalEntityAt sends a one-way operation that does not run before a point in time.
func (ctx *effects) SignalEntityAt(entity EntityID, operation string, input any, at time.Time) error {
	moment := float64(at.UnixMilli())
	return ctx.signal(entity, operation, input, &moment)
}

func (ctx *effects) signal(entity EntityID, operation string, input any, at *float64) error {
	text, err := encodeInput(input)
	if err == nil {
		ctx.host.SignalEntity(contract.EntityID(entity), operation, text, at)
	}
	return err
}

// A Lock is a critical section: until it ends, only operations of this orchestration reach the locked entities.
type Lock struct {
	host contract.Host
}

// Lock requests a lock on entities; the critical section begins when the task has completed. Within it, an orchestration
// must not call sub-orchestrations, request another lock, call entities that are not locked, call a locked entity twice at
// the same time, or signal a locked entity.
//
//	lock, err := ctx.Lock(from, to).Await()
//	if err != nil {
//		return nil, err
//	}
//	defer lock.Unlock()
func (ctx *Context) Lock(entities ...EntityID) *Task[*Lock] {
	ids := make([]contract.EntityID, len(entities))
	for i, entity := range entities {
		ids[i] = contract.EntityID(entity)
	}
	return translated(ctx, ctx.host.LockEntities(ids), func(string) (*Lock, error) { return &Lock{ctx.host}, nil })
}

// Unlock ends the critical section. It returns false, and does nothing, if that has ended already.
func (l *Lock) Unlock() bool {
	return l.host.UnlockEntities()
}

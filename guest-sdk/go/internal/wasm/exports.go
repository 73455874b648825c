//go:build wasm

package wasm

import (
	"unsafe"

	"dacapo.dev/sdk/internal/contract"
)

// answered keeps the last result of an export alive, because the host reads it after the function has returned.
var answered struct {
	memory any
	texts  []string
}

// answer keeps the result of an export alive, with the strings that it points to, and returns its address.
func answer[T any](memory *T, texts ...string) uint32 {
	answered.memory, answered.texts = memory, texts
	return address(memory)
}

//go:wasmexport describe
func describe() uint32 {
	type function struct {
		name text
		kind contract.Kind
	}
	functions := contract.OfKinds(contract.Orchestrator, contract.Activity, contract.Entity)
	described := make([]function, len(functions))
	for i, f := range functions {
		described[i] = function{textOf(f.Name), f.Kind}
	}
	memory := &struct {
		list      list
		described []function
	}{list{address(unsafe.SliceData(described)), uint32(len(described))}, described}
	return answer(memory)
}

//go:wasmexport run-orchestrator
func runOrchestrator(name, nameLength, input, inputLength uint32) uint32 {
	function, failure := contract.Find(contract.Orchestrator, text{name, nameLength}.take())
	given := text{input, inputLength}.take()
	if failure != nil {
		return failed(failure)
	}
	return finish(function.Orchestrate(host{}, given))
}

//go:wasmexport run-activity
func runActivity(name, nameLength, input, inputLength, instance, instanceLength, taskID, attempt uint32) uint32 {
	call := contract.ActivityCall{
		Name:       text{name, nameLength}.take(),
		Input:      text{input, inputLength}.take(),
		InstanceID: text{instance, instanceLength}.take(),
		TaskID:     taskID,
		Attempt:    attempt,
	}
	function, failure := contract.Find(contract.Activity, call.Name)
	if failure != nil {
		return failed(failure)
	}
	return finish(function.Act(host{}, call))
}

//go:wasmexport describe-triggers
func describeTriggers() uint32 {
	type trigger struct {
		name     text
		bindings text
	}
	triggers := contract.OfKinds(contract.Trigger)
	described := make([]trigger, len(triggers))
	for i, t := range triggers {
		described[i] = trigger{textOf(t.Name), textOf(t.Bindings)}
	}
	memory := &struct {
		list      list
		described []trigger
	}{list{address(unsafe.SliceData(described)), uint32(len(described))}, described}
	return answer(memory)
}

//go:wasmexport run-trigger
func runTrigger(name, nameLength, input, inputLength, invocation, invocationLength, attempt uint32) uint32 {
	call := contract.TriggerCall{
		Name:         text{name, nameLength}.take(),
		Input:        text{input, inputLength}.take(),
		InvocationID: text{invocation, invocationLength}.take(),
		Attempt:      attempt,
	}
	function, failure := contract.Find(contract.Trigger, call.Name)
	if failure != nil {
		return failed(failure)
	}
	return finish(function.Fire(host{}, call))
}

//go:wasmexport run-entity-operation
func runEntityOperation(name, nameLength, key, keyLength, operation, operationLength, input, inputLength, hasState, state,
	stateLength uint32) uint32 {
	wanted := contract.EntityOperation{
		Entity:    contract.EntityID{Name: text{name, nameLength}.take(), Key: text{key, keyLength}.take()},
		Operation: text{operation, operationLength}.take(),
		Input:     text{input, inputLength}.take(),
		State:     optionalText{uint8(hasState), text{state, stateLength}}.take(),
	}
	function, failure := contract.Find(contract.Entity, wanted.Entity.Name)
	if failure != nil {
		return failed(failure)
	}
	result, failure := function.Operate(host{}, wanted)
	if failure != nil {
		return failed(failure)
	}
	memory := &struct {
		isError uint32
		output  text
		state   optionalText
		_       [3]uint32 // a failure is longer
	}{output: textOf(result.Output), state: optionalTextOf(result.State)}
	if result.State == nil {
		return answer(memory, result.Output)
	}
	return answer(memory, result.Output, *result.State)
}

// finish returns the address of a result<string, failure>.
func finish(output string, failure *contract.Failure) uint32 {
	if failure != nil {
		return failed(failure)
	}
	memory := &struct {
		isError uint32
		output  text
		_       [6]uint32 // a failure is longer
	}{output: textOf(output)}
	return answer(memory, output)
}

// failed returns the address of a result that is an error. The other case of the result must not be longer.
func failed(why *contract.Failure) uint32 {
	memory := &struct {
		isError uint32
		failure failure
	}{1, failure{failureType: textOf(why.Type), message: textOf(why.Message), details: someText(why.Details)}}
	if why.Retriable {
		memory.failure.retriable = 1
	}
	return answer(memory, why.Type, why.Message, why.Details)
}

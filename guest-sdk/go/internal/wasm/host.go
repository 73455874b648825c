//go:build wasm

package wasm

import (
	"runtime"
	"unsafe"

	"dacapo.dev/sdk/internal/contract"
)

// host is the real host, called through the imports.
type host struct{}

func (host) Wait(tasks []contract.Task) []int {
	completed := new(text)
	wait(unsafe.Pointer(unsafe.SliceData(tasks)), uint32(len(tasks)), unsafe.Pointer(completed))
	runtime.KeepAlive(tasks)
	memory := received[completed.at]
	delete(received, completed.at)
	indexes := make([]int, completed.length)
	for i, index := range unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(memory))), completed.length) {
		indexes[i] = int(index)
	}
	return indexes
}

func (host) Outcome(task contract.Task) *contract.Outcome {
	ended := new(struct {
		isSome uint32
		result result
	})
	outcome(int32(task), unsafe.Pointer(ended))
	if ended.isSome == 0 {
		return nil
	}
	output, failure := ended.result.take()
	return &contract.Outcome{Output: output, Failure: failure}
}

func (host) Cancel(task contract.Task) bool {
	return cancel(int32(task)) != 0
}

// retryPolicy is an option<retry-policy>.
type retryPolicy struct {
	isSome        uint64
	maxAttempts   uint64
	firstInterval float64
	backoff       float64
	maxInterval   optionalNumber
	timeout       optionalNumber
	notRetriable  list
}

// list is a list in memory, in the form of the canonical ABI. Its elements must be kept alive.
type list struct {
	at     uint32
	length uint32
}

func retryPolicyOf(policy *contract.RetryPolicy) (retryPolicy, []text) {
	if policy == nil {
		return retryPolicy{}, nil
	}
	types := make([]text, len(policy.NotRetriable))
	for i, name := range policy.NotRetriable {
		types[i] = textOf(name)
	}
	return retryPolicy{
		isSome:        1,
		maxAttempts:   uint64(policy.MaxAttempts),
		firstInterval: policy.FirstInterval,
		backoff:       policy.Backoff,
		maxInterval:   someNumber(policy.MaxInterval),
		timeout:       someNumber(policy.Timeout),
		notRetriable:  list{address(unsafe.SliceData(types)), uint32(len(types))},
	}, types
}

func (host) CallActivity(name, input string, policy *contract.RetryPolicy) contract.Task {
	retry, types := retryPolicyOf(policy)
	task := callActivity(name, input, uint32(retry.isSome), uint32(retry.maxAttempts), retry.firstInterval, retry.backoff,
		retry.maxInterval.isSome, retry.maxInterval.number, retry.timeout.isSome, retry.timeout.number,
		unsafe.Pointer(unsafe.SliceData(types)), uint32(len(types)))
	runtime.KeepAlive(name)
	runtime.KeepAlive(input)
	runtime.KeepAlive(policy)
	runtime.KeepAlive(types)
	return contract.Task(task)
}

// CallSubOrchestrator has more than the 16 parameters that the canonical ABI passes as such.
func (host) CallSubOrchestrator(child contract.SubOrchestration) contract.Task {
	retry, types := retryPolicyOf(child.Retry)
	name, input, id := textOf(child.Name), textOf(child.Input), someText(child.InstanceID)
	defer runtime.KeepAlive(child)
	defer runtime.KeepAlive(types)
	if child.Version == "" {
		call := &struct {
			name  text
			input text
			id    optionalText
			retry retryPolicy
		}{name, input, id, retry}
		defer runtime.KeepAlive(call)
		return contract.Task(callSubOrchestrator(unsafe.Pointer(call)))
	}
	call := &struct {
		name    text
		input   text
		version text
		id      optionalText
		retry   retryPolicy
	}{name, input, textOf(child.Version), id, retry}
	defer runtime.KeepAlive(call)
	return contract.Task(callSubOrchestratorWithVersion(unsafe.Pointer(call)))
}

func (host) CreateTimer(fireAt float64) contract.Task {
	return contract.Task(createTimer(fireAt))
}

func (host) WaitForExternalEvent(name string) contract.Task {
	task := waitForExternalEvent(name)
	runtime.KeepAlive(name)
	return contract.Task(task)
}

func (host) CallEntity(entity contract.EntityID, operation, input string) contract.Task {
	task := callEntity(entity.Name, entity.Key, operation, input)
	runtime.KeepAlive(entity)
	runtime.KeepAlive(operation)
	runtime.KeepAlive(input)
	return contract.Task(task)
}

func (host) LockEntities(entities []contract.EntityID) contract.Task {
	ids := make([][2]text, len(entities))
	for i, entity := range entities {
		ids[i] = [2]text{textOf(entity.Name), textOf(entity.Key)}
	}
	task := lockEntities(unsafe.Pointer(unsafe.SliceData(ids)), uint32(len(ids)))
	runtime.KeepAlive(entities)
	runtime.KeepAlive(ids)
	return contract.Task(task)
}

func (host) UnlockEntities() bool {
	return unlockEntities() != 0
}

func (host) CallHTTP(request string) contract.Task {
	task := callHTTP(request)
	runtime.KeepAlive(request)
	return contract.Task(task)
}

func (host) StartOrchestration(name, input, id string) string {
	started := new(text)
	startOrchestration(name, input, uint32(someText(id).isSome), id, unsafe.Pointer(started))
	runtime.KeepAlive(name)
	runtime.KeepAlive(input)
	runtime.KeepAlive(id)
	return started.take()
}

func (host) SendEvent(instance, name, data string) {
	sendEvent(instance, name, data)
	runtime.KeepAlive(instance)
	runtime.KeepAlive(name)
	runtime.KeepAlive(data)
}

func (host) SignalEntity(entity contract.EntityID, operation, input string, deliverAt *float64) {
	if deliverAt == nil {
		signalEntity(entity.Name, entity.Key, operation, input, 0, 0)
	} else {
		signalEntity(entity.Name, entity.Key, operation, input, 1, *deliverAt)
	}
	runtime.KeepAlive(entity)
	runtime.KeepAlive(operation)
	runtime.KeepAlive(input)
}

func (host) ContinueAsNew(input string) {
	continueAsNew(input)
	runtime.KeepAlive(input)
}

func (host) SetCustomStatus(status string) {
	setCustomStatus(status)
	runtime.KeepAlive(status)
}

func (host) InstanceID() string  { return ask(instanceID) }
func (host) ExecutionID() string { return ask(executionID) }
func (host) Version() string     { return ask(version) }
func (host) NewGUID() string     { return ask(newGUID) }

// ask calls an import that has no parameters and returns a string.
func ask(question func(unsafe.Pointer)) string {
	answer := new(text)
	question(unsafe.Pointer(answer))
	return answer.take()
}

func (host) Parent() *contract.Parent {
	result := new(struct {
		isSome uint8
		name   text
		id     text
	})
	parent(unsafe.Pointer(result))
	if result.isSome == 0 {
		return nil
	}
	return &contract.Parent{Name: result.name.take(), InstanceID: result.id.take()}
}

func (host) CurrentTime() float64 { return currentTime() }
func (host) IsReplaying() bool    { return isReplaying() != 0 }

func (host) RandomBytes(length int) []byte {
	bytes := new(text)
	randomBytes(uint32(length), unsafe.Pointer(bytes))
	return []byte(bytes.take())
}

func (host) SendHTTP(request string) (string, *contract.Failure) {
	response := new(result)
	sendHTTP(request, unsafe.Pointer(response))
	runtime.KeepAlive(request)
	return response.take()
}

func (host) Log(level contract.Level, message string) {
	log(int32(level), message)
	runtime.KeepAlive(message)
}

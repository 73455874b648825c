//go:build wasm

package wasm

import (
	"runtime"
	"strings"
	"unsafe"

	"dacapo.dev/sdk/internal/contract"
)

func (host) ClientStart(start contract.Start) (string, *contract.Failure) {
	name, input, id, version := sent(start.Name), sent(start.Input), sent(start.InstanceID), sent(start.Version)
	hasMoment, startAt := optionalMoment(start.StartAt)
	started := new(result)
	clientStart(name, input, uint32(someText(id).isSome), id, uint32(someText(version).isSome), version, hasMoment, startAt,
		unsafe.Pointer(started))
	keep(name, input, id, version)
	return started.take()
}

func (host) GetStatus(instance, options string) (string, *contract.Failure) {
	return askWithTwo(getStatus, instance, options).take()
}

func (host) ListInstances(filter string) (string, *contract.Failure) {
	return askWith(listInstances, filter).take()
}

func (host) RaiseEvent(instance, name, data string) *contract.Failure {
	instance, name, data = sent(instance), sent(name), sent(data)
	raised := new(result)
	raiseEvent(instance, name, data, unsafe.Pointer(raised))
	keep(instance, name, data)
	return raised.takeFailure()
}

func (host) Terminate(instance, reason string) *contract.Failure {
	return askWithTwo(terminate, instance, reason).takeFailure()
}

func (host) Suspend(instance, reason string) *contract.Failure {
	return askWithTwo(suspend, instance, reason).takeFailure()
}

func (host) Resume(instance, reason string) *contract.Failure {
	return askWithTwo(resume, instance, reason).takeFailure()
}

func (host) Rewind(instance, reason string) *contract.Failure {
	return askWithTwo(rewind, instance, reason).takeFailure()
}

func (host) Restart(instance, id string) (string, *contract.Failure) {
	instance, id = sent(instance), sent(id)
	restarted := new(result)
	restart(instance, uint32(someText(id).isSome), id, unsafe.Pointer(restarted))
	keep(instance, id)
	return restarted.take()
}

func (host) Purge(instance string) (bool, *contract.Failure) {
	purged, failure := askWith(purge, instance).takeNumber()
	return purged != 0, failure
}

func (host) PurgeInstances(filter string) (uint32, *contract.Failure) {
	return askWith(purgeInstances, filter).takeNumber()
}

func (host) WaitForCompletion(instance string, timeout float64) (string, *contract.Failure) {
	instance = sent(instance)
	status := new(result)
	waitForCompletion(instance, timeout, unsafe.Pointer(status))
	keep(instance)
	return status.take()
}

func (host) ClientSignal(entity contract.EntityID, operation, input string, deliverAt *float64) *contract.Failure {
	name, key, operation, input := sent(entity.Name), sent(entity.Key), sent(operation), sent(input)
	hasMoment, moment := optionalMoment(deliverAt)
	signalled := new(result)
	clientSignal(name, key, operation, input, hasMoment, moment, unsafe.Pointer(signalled))
	keep(name, key, operation, input)
	return signalled.takeFailure()
}

func (host) Enqueue(queue string, messages []string, deliverAt *float64) *contract.Failure {
	queue = sent(queue)
	kept, texts := make([]string, len(messages)), make([]text, len(messages))
	for i, message := range messages {
		kept[i] = sent(message)
		texts[i] = textOf(kept[i])
	}
	hasMoment, moment := optionalMoment(deliverAt)
	put := new(result)
	enqueue(queue, unsafe.Pointer(unsafe.SliceData(texts)), uint32(len(texts)), hasMoment, moment, unsafe.Pointer(put))
	keep(queue)
	runtime.KeepAlive(kept)
	runtime.KeepAlive(texts)
	return put.takeFailure()
}

func (host) ReadEntity(entity contract.EntityID) (*string, *contract.Failure) {
	state := askWithTwo(readEntity, entity.Name, entity.Key)
	if failure := state.takeFailure(); failure != nil {
		return nil, failure
	}
	return (*optionalText)(unsafe.Pointer(&state.failure)).take(), nil
}

func (host) ListEntities(filter string) (string, *contract.Failure) {
	return askWith(listEntities, filter).take()
}

func (host) Links(instance string) (string, *contract.Failure) {
	return askWith(links, instance).take()
}

// askWith calls an import that has one string as its parameter and returns a result.
func askWith(question func(string, unsafe.Pointer), with string) *result {
	with = sent(with)
	answer := new(result)
	question(with, unsafe.Pointer(answer))
	keep(with)
	return answer
}

// askWithTwo is askWith with two strings.
func askWithTwo(question func(string, string, unsafe.Pointer), first, second string) *result {
	first, second = sent(first), sent(second)
	answer := new(result)
	question(first, second, unsafe.Pointer(answer))
	keep(first, second)
	return answer
}

// sent replaces invalid UTF-8, which would trap, with U+FFFD.
func sent(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}

// keep keeps strings alive until a call that they are passed to has returned.
func keep(strings ...string) {
	for i := range strings {
		runtime.KeepAlive(strings[i])
	}
}

func optionalMoment(moment *float64) (isSome uint32, value float64) {
	if moment == nil {
		return 0, 0
	}
	return 1, *moment
}

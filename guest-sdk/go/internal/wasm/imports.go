//go:build wasm

package wasm

import "unsafe"

// Strings and pointers must be kept alive until a call has returned, because the host allocates in this module, which may
// start a garbage collection: see the calls in host.go.

//go:wasmimport dacapo:guest/orchestration@0.1.0 wait
func wait(tasks unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 [method]task.outcome
func outcome(task int32, result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 [method]task.cancel
func cancel(task int32) uint32

//go:wasmimport dacapo:guest/orchestration@0.1.0 call-activity
func callActivity(name, input string, retries, maxAttempts uint32, firstInterval, backoff float64, hasMaxInterval uint32,
	maxInterval float64, hasTimeout uint32, timeout float64, notRetriable unsafe.Pointer, length uint32) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 call-sub-orchestrator
func callSubOrchestrator(call unsafe.Pointer) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 call-sub-orchestrator-with-version
func callSubOrchestratorWithVersion(call unsafe.Pointer) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 create-timer
func createTimer(fireAt float64) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 wait-for-external-event
func waitForExternalEvent(name string) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 start-orchestration
func startOrchestration(name, input string, hasID uint32, id string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 send-event
func sendEvent(instance, name, data string)

//go:wasmimport dacapo:guest/orchestration@0.1.0 call-entity
func callEntity(name, key, operation, input string) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 signal-entity
func signalEntity(name, key, operation, input string, hasMoment uint32, deliverAt float64)

//go:wasmimport dacapo:guest/orchestration@0.1.0 lock-entities
func lockEntities(entities unsafe.Pointer, length uint32) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 unlock-entities
func unlockEntities() uint32

//go:wasmimport dacapo:guest/orchestration@0.1.0 call-http
func callHTTP(request string) int32

//go:wasmimport dacapo:guest/orchestration@0.1.0 continue-as-new
func continueAsNew(input string)

//go:wasmimport dacapo:guest/orchestration@0.1.0 set-custom-status
func setCustomStatus(status string)

//go:wasmimport dacapo:guest/orchestration@0.1.0 instance-id
func instanceID(result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 execution-id
func executionID(result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 parent
func parent(result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 version
func version(result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 current-time
func currentTime() float64

//go:wasmimport dacapo:guest/orchestration@0.1.0 new-guid
func newGUID(result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 random-bytes
func randomBytes(length uint32, result unsafe.Pointer)

//go:wasmimport dacapo:guest/orchestration@0.1.0 is-replaying
func isReplaying() uint32

//go:wasmimport dacapo:guest/management@0.1.0 send-http
func sendHTTP(request string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 start-orchestration
func clientStart(name, input string, hasID uint32, id string, hasVersion uint32, version string, hasMoment uint32,
	startAt float64, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 get-status
func getStatus(instance, options string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 list-instances
func listInstances(filter string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 raise-event
func raiseEvent(instance, name, data string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 terminate
func terminate(instance, reason string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 suspend
func suspend(instance, reason string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 resume
func resume(instance, reason string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 rewind
func rewind(instance, reason string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 restart
func restart(instance string, hasID uint32, id string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 purge
func purge(instance string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 purge-instances
func purgeInstances(filter string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 wait-for-completion
func waitForCompletion(instance string, timeout float64, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 signal-entity
func clientSignal(name, key, operation, input string, hasMoment uint32, deliverAt float64, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 enqueue
func enqueue(queue string, messages unsafe.Pointer, length uint32, hasMoment uint32, deliverAt float64, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 read-entity
func readEntity(name, key string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 list-entities
func listEntities(filter string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/client@0.1.0 links
func links(instance string, result unsafe.Pointer)

//go:wasmimport dacapo:guest/logging@0.1.0 log
func log(level int32, message string)

// Package dacapo is for durable orchestrations in Go.
//
// An orchestrator is a function that says what happens in which order. The host records each step, so an orchestration
// survives crashes and restarts, and may take a second or a year. An activity is a function that does one piece of real work.
// An entity is durable state with operations. A trigger is a function that a request, a schedule or a message starts. They are
// compiled to wasm, together, as an app:
//
//	package main
//
//	import dacapo "dacapo.dev/sdk"
//
//	func init() {
//		dacapo.Orchestrator("hello", hello)
//		dacapo.Activity("say_hello", sayHello)
//	}
//
//	func main() {}
//
//	func hello(ctx *dacapo.Context, cities []string) ([]string, error) {
//		var tasks []*dacapo.Task[string]
//		for _, city := range cities {
//			tasks = append(tasks, dacapo.CallActivity[string](ctx, "say_hello", city))
//		}
//		return dacapo.All(ctx, tasks...)
//	}
//
//	func sayHello(_ *dacapo.ActivityContext, city string) (string, error) {
//		return "Hello " + city + "!", nil
//	}
//
// Build, deploy and start it with:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm .
//	dacapo deploy hello.wasm
//	dacapo start-new hello --input '["Tokyo", "Seattle"]'
//
// # How it runs
//
// When an orchestrator waits for something that has not happened yet, it is suspended, and may be evicted from memory. To
// resume it, the host may run it again from the beginning, a replay, and give it the results that it has recorded. So it
// must do the same each time: its only access to the outside is its [Context], which also has the time, random numbers and
// unique ids. Go's own sources of these are safe, too: in an orchestrator, time.Now does not advance between waits,
// time.Sleep is a durable timer, and math/rand and the iteration order of maps are the same on each replay. All other
// input and output belongs in an activity, which runs at least once.
//
// # Tasks
//
// Calls, timers and waits for events return a [Task], which is scheduled at once. [Task.Await] waits for one task, [All]
// for all of several, [Context.Any] for the first, [Task.AwaitFor] with a timeout. [Go] runs a function concurrently with
// the orchestrator; use it instead of the go statement, because only [Go] has the same order on replay. Goroutines and
// channels that do not await tasks work as usual.
//
// # Activities
//
// An activity may read the directories that the operator grants, compute for a long time, and use any package. Its
// [ActivityContext] provides an idempotency key, the durable client, and HTTP requests, which package dacapohttp makes
// available to net/http.
//
// # Triggers
//
// A trigger is a function by which the world reaches the app: [HTTPTrigger], [TimerTrigger], [QueueTrigger],
// [EventHubTrigger], [EventGridTrigger] or [ManualTrigger]. It runs like an activity. It sends messages to the queues and
// event hubs that are its output bindings, with [TriggerContext.Output].
//
// # The durable client
//
// Activities and triggers start, query and manage the instances and entities of the app's task hub with the methods of
// [Client], which are methods of their contexts.
//
// # Failures
//
// The error of a failed task is a [*Failure], also if the function is written in another language. An error or a panic of a
// function becomes one.
//
// # Testing
//
// Package dacapotest runs functions natively in a go test, against a script.
package dacapo

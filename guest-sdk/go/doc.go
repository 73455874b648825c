// Package dacapo is for durable orchestrations in Go.
//
// An orchestrator is a function that says what happens in which order. The host writes down each step, so an
// orchestration survives crashes and restarts, and may take a second or a year. An activity is a function that does one
// piece of real work. An entity is durable state with operations. They are compiled to wasm, together, as an app:
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
// Such a module is built, deployed and started by
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm .
//	dacapo deploy hello.wasm
//	dacapo start-new hello --input '["Tokyo", "Seattle"]'
//
// # How it runs
//
// When an orchestrator waits for something that has not happened yet, it is put to sleep, and may be forgotten. When it
// goes on, the host may run it again from the beginning, handing it what it has recorded. So it must do the same each
// time: all that it knows of the world it learns from its [Context], which has the time, chance and unique ids too. What
// Go itself gives it is harmless: in an orchestrator time.Now stands still between waits, time.Sleep is a durable timer,
// and maps and math/rand are in the same disorder on each replay. Whatever else a program does belongs into an activity,
// which runs at least once.
//
// # Tasks
//
// Calls, timers and waits for events give a [Task], and run at once. [Task.Await] waits for one, [All] for all of
// several, [Context.Any] for the first, [Task.AwaitFor] with a timeout. [Go] starts a function beside the orchestrator; it
// stands in for the go statement, because only it keeps the order of everything the same. Goroutines and channels that await
// no task work as they do anywhere.
//
// # Activities
//
// An activity may do what a program may: read the directories that the operator grants, take its time, use any package.
// From its [ActivityContext] it has the key that makes its work idempotent, starts of orchestrations, and HTTP, for which
// package dacapohttp brings net/http.
//
// # Failures
//
// What a task fails with is a [*Failure], also that of a function in another language. An error or a panic of a function
// becomes one.
//
// # Testing
//
// Package dacapotest runs functions natively in a go test, against a script.
package dacapo

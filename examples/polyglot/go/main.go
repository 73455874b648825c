// The press of the print shop.
package main

import (
	"fmt"

	dacapo "dacapo.dev/sdk"
)

func init() {
	dacapo.Activity("print_sheets", printSheets)
	dacapo.Orchestrator("test_print", testPrint)
}

// main is required but never runs: the host calls the registered functions.
func main() {}

type job struct {
	Press  string `json:"press"`
	Pages  int    `json:"pages"`
	Copies int    `json:"copies"`
}

// printSheets prints two pages on each sheet. The first attempt of a large job jams, which is a retriable failure.
func printSheets(ctx *dacapo.ActivityContext, job job) (int, error) {
	sheets := (job.Pages + 1) / 2 * job.Copies
	if sheets > 100 && ctx.Attempt() == 1 {
		return 0, &dacapo.Failure{Type: "PaperJam", Message: fmt.Sprintf("%s is jammed", job.Press)}
	}
	return sheets, nil
}

// testPrint prints one sheet for free and counts it on the odometer, which is an entity in Rust.
func testPrint(ctx *dacapo.Context, press string) (int, error) {
	sheets, err := dacapo.CallActivity[int](ctx, "print_sheets", job{Press: press, Pages: 1, Copies: 1}).Await()
	if err != nil {
		return 0, err
	}
	odometer := dacapo.EntityID{Name: "Odometer", Key: press}
	return sheets, ctx.SignalEntity(odometer, "add", sheets)
}

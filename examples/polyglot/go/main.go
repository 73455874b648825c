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

// The host calls the functions; nobody calls main.
func main() {}

type job struct {
	Press  string `json:"press"`
	Pages  int    `json:"pages"`
	Copies int    `json:"copies"`
}

// printSheets prints two pages on each sheet. Large jobs jam at first: a failure that is worth another attempt.
func printSheets(ctx *dacapo.ActivityContext, job job) (int, error) {
	sheets := (job.Pages + 1) / 2 * job.Copies
	if sheets > 100 && ctx.Attempt() == 1 {
		return 0, &dacapo.Failure{Type: "PaperJam", Message: fmt.Sprintf("%s is jammed", job.Press)}
	}
	return sheets, nil
}

// testPrint prints one sheet that nobody pays. It counts as well: the odometer is an entity in Rust.
func testPrint(ctx *dacapo.Context, press string) (int, error) {
	sheets, err := dacapo.CallActivity[int](ctx, "print_sheets", job{Press: press, Pages: 1, Copies: 1}).Await()
	if err != nil {
		return 0, err
	}
	odometer := dacapo.EntityID{Name: "Odometer", Key: press}
	return sheets, ctx.SignalEntity(odometer, "add", sheets)
}

package dacapo

import "dacapo.dev/sdk/internal/contract"

// Orchestrator registers an orchestrator: a function that says what happens in which order. Call it in an init function;
// main is never run.
//
// The host may run it again from the beginning to restore its state, a replay. So it must do the same each time: its only
// access to the outside is its [Context]. The inputs and outputs of all functions are JSON.
func Orchestrator[In, Out any](name string, run func(ctx *Context, in In) (Out, error)) {
	contract.Register(contract.Function{
		Name: name,
		Kind: contract.Orchestrator,
		Orchestrate: func(host contract.Host, input string) (string, *contract.Failure) {
			return settle(orchestrate(host, func(ctx *Context) (output string, err error) {
				defer catchPanic(&err)
				return apply(name, input, func(in In) (Out, error) { return run(ctx, in) })
			}))
		},
	})
}

// Activity registers an activity: a function that does one piece of real work, and runs at least once. Call it in an init
// function.
func Activity[In, Out any](name string, run func(ctx *ActivityContext, in In) (Out, error)) {
	contract.Register(contract.Function{
		Name: name,
		Kind: contract.Activity,
		Act: func(host contract.Host, call contract.ActivityCall) (string, *contract.Failure) {
			return settle(func() (output string, err error) {
				defer catchPanic(&err)
				ctx := newActivityContext(host, call)
				return apply(name, call.Input, func(in In) (Out, error) { return run(ctx, in) })
			}())
		},
	})
}

// apply runs a function from JSON to JSON.
func apply[In, Out any](name, input string, run func(In) (Out, error)) (string, error) {
	in, err := decode[In](input, failureInvalidInput, "the input of `"+name+"`")
	if err != nil {
		return "", err
	}
	out, err := run(in)
	if err != nil {
		return "", err
	}
	return encodeOutput(out, "the output of `"+name+"`")
}

func settle(output string, err error) (string, *contract.Failure) {
	if err != nil {
		return "", failureOf(err).toContract()
	}
	return output, nil
}

//go:build wasm

// Package wasm has the imports and exports of the contract in dacapo.wit, with the names and the memory layout of the
// component model's canonical ABI.
package wasm

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"dacapo.dev/sdk/internal/contract"
)

// received holds unread memory that the host has written: the garbage collector does not see the host's pointers.
var received = map[uint32][]uint64{}

// realloc allocates memory for the host. It must not call the host, as Go's runtime does to read the clock when it collects
// garbage. So it prevents garbage collections and pauses the clock.
//
//go:wasmexport cabi_realloc
func realloc(old, oldSize, align, size uint32) uint32 {
	if size == 0 {
		return align
	}
	pauseClock(1)
	procPin()
	memory := make([]uint64, words(size))
	copy(memory, received[old])
	delete(received, old)
	at := address(unsafe.SliceData(memory))
	received[at] = memory
	procUnpin()
	pauseClock(0)
	return at
}

// pauseClock is provided by the adapter for WASI, which Go needs anyway.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused int32)

// Go's linker allows other packages to use these two functions of the runtime.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// adapters is memory for the adapter for WASI, which keeps it: one page for its stack, one for its state. It allocates them
// when Go's runtime calls it for the first time, before Go can allocate.
var adapters struct {
	memory [2 * 64 << 10 / 8]uint64
	used   uint32 // in words
}

//go:wasmexport cabi_realloc_adapter
func reallocAdapter(_, _, _, size uint32) uint32 {
	at := address(&adapters.memory[adapters.used])
	adapters.used += words(size)
	return at
}

// words returns a size in words of 8 bytes, the largest alignment in the contract.
func words(size uint32) uint32 {
	return (size + 7) / 8
}

func address[T any](pointer *T) uint32 {
	return uint32(uintptr(unsafe.Pointer(pointer)))
}

// text is a string in memory, in the form of the canonical ABI. A string that is passed to the host must be kept alive.
type text struct {
	at     uint32
	length uint32
}

// textOf replaces invalid UTF-8, which would trap, with U+FFFD.
func textOf(s string) text {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		repaired = append(repaired, s)
	}
	return text{address(unsafe.StringData(s)), uint32(len(s))}
}

// repaired keeps strings alive that only the host reads.
var repaired []string

// take returns a string that the host has written. Its memory is not copied; Go owns it from now on.
func (t text) take() string {
	if t.length == 0 {
		return ""
	}
	memory := received[t.at]
	delete(received, t.at)
	return unsafe.String((*byte)(unsafe.Pointer(unsafe.SliceData(memory))), t.length)
}

// optionalText is an option<string>.
type optionalText struct {
	isSome uint8
	text   text
}

func optionalTextOf(s *string) optionalText {
	if s == nil {
		return optionalText{}
	}
	return optionalText{1, textOf(*s)}
}

// someText returns an option<string>, which is none for the empty string.
func someText(s string) optionalText {
	if s == "" {
		return optionalText{}
	}
	return optionalTextOf(&s)
}

func (t optionalText) take() *string {
	if t.isSome == 0 {
		return nil
	}
	s := t.text.take()
	return &s
}

// optionalNumber is an option<f64>, with an explicit padding for the alignment.
type optionalNumber struct {
	isSome uint32
	_      uint32
	number float64
}

// someNumber returns an option<f64>, which is none for 0.
func someNumber(number float64) optionalNumber {
	if number == 0 {
		return optionalNumber{}
	}
	return optionalNumber{isSome: 1, number: number}
}

// failure is the record failure of the contract.
type failure struct {
	failureType text
	message     text
	details     optionalText
	retriable   uint8
}

func (f *failure) take() *contract.Failure {
	taken := &contract.Failure{Type: f.failureType.take(), Message: f.message.take(), Retriable: f.retriable != 0}
	if details := f.details.take(); details != nil {
		taken.Details = *details
	}
	return taken
}

// result is a result<T, failure> that the host writes: the T is at the place of the failure. The host writes only one byte of a
// flag.
type result struct {
	isError uint32
	failure failure
}

// take returns the string of a result<string, failure>.
func (r *result) take() (string, *contract.Failure) {
	if failure := r.takeFailure(); failure != nil {
		return "", failure
	}
	return r.failure.failureType.take(), nil
}

// takeNumber returns the number or flag of a result<u32, failure> or result<bool, failure>.
func (r *result) takeNumber() (uint32, *contract.Failure) {
	if failure := r.takeFailure(); failure != nil {
		return 0, failure
	}
	return r.failure.failureType.at, nil
}

// takeFailure returns the failure of any result, if it is one.
func (r *result) takeFailure() *contract.Failure {
	if r.isError == 0 {
		return nil
	}
	return r.failure.take()
}

//go:build wasm

// Package wasm is the border of the module: the imports and exports of the contract in dacapo.wit, by the names and the
// memory layout of the component model's canonical ABI.
package wasm

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"dacapo.dev/sdk/internal/contract"
)

// received is what the host wrote and nobody read yet. It would be garbage otherwise: the host's pointers do not count.
var received = map[uint32][]uint64{}

// realloc gives the host memory to write into. It must not call the host, as Go's runtime does to read the clock when it
// collects garbage. So the collector is held off and the clock stands still.
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

// Of the adapter for WASI, which Go needs anyway.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused int32)

// Go leaves these two to others.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// adapters is the memory that the adapter for WASI has for good: one page for its stack, one for its state. It wants them
// when Go's runtime calls it for the first time, and cannot allocate yet.
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

// words count what is aligned to 8 bytes, the most that the contract needs.
func words(size uint32) uint32 {
	return (size + 7) / 8
}

func address[T any](pointer *T) uint32 {
	return uint32(uintptr(unsafe.Pointer(pointer)))
}

// text is a string in memory, as the canonical ABI writes it down. One that goes out must be kept alive.
type text struct {
	at     uint32
	length uint32
}

// What is no UTF-8 would end the guest: it becomes U+FFFD.
func textOf(s string) text {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
		repaired = append(repaired, s)
	}
	return text{address(unsafe.StringData(s)), uint32(len(s))}
}

// repaired keeps alive what only the host reads.
var repaired []string

// take is a string that the host wrote. Its memory is not copied: from here on it is Go's.
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

// someText is an option<string> whose empty string is none.
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

// optionalNumber is an option<f64>, at the alignment that Go gives a float64.
type optionalNumber struct {
	isSome uint32
	_      uint32
	number float64
}

// someNumber is an option<f64> whose 0 is none.
func someNumber(number float64) optionalNumber {
	if number == 0 {
		return optionalNumber{}
	}
	return optionalNumber{isSome: 1, number: number}
}

// failure is the record of that name.
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

// result is a result<string, failure> that the host wrote: the output lies where the failure's type does. Of a flag it
// writes one byte.
type result struct {
	isError uint32
	failure failure
}

func (r *result) take() (string, *contract.Failure) {
	if r.isError != 0 {
		return "", r.failure.take()
	}
	return r.failure.failureType.take(), nil
}

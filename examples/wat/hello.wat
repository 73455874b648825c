;; The smallest complete app: an orchestrator `hello` that calls the activity `say_hello` with its own input and returns its
;; output. `README.md` in this folder is the reference for all signatures and byte offsets used here.
;;
;; Memory, in bytes:
;;     16  what `describe` returns          96  what `wait` returns        176  texts
;;     24  the functions that it lists     104  the outcome of the task    256  the heap
;;     64  the list of tasks for `wait`    144  the result of `run-activity`

(module
  ;; ---- Imports -------------------------------------------------------------------------------------------------------

  ;; call-activity: func(name: string, input: string, retry: option<retry-policy>) -> task
  ;; A string is two parameters, its address and its length in bytes. An option is a flag and the parameters of its value,
  ;; which are ignored if the flag is 0. A task is returned as a handle, which is a number.
  (import "dacapo:guest/orchestration@0.1.0" "call-activity" (func $call_activity
    (param $name i32) (param $name_length i32)
    (param $input i32) (param $input_length i32)
    (param $has_retry i32)
    (param $max_attempts i32) (param $first_interval f64) (param $backoff_coefficient f64)
    (param $has_max_interval i32) (param $max_interval f64)
    (param $has_timeout i32) (param $timeout f64)
    (param $non_retriable i32) (param $non_retriable_count i32)
    (result i32)))

  ;; wait: func(tasks: list<borrow<task>>) -> list<u32>
  ;; A list is its address and its number of elements. A result that does not fit into one number is returned in memory: the
  ;; last parameter is the address where the host writes it.
  (import "dacapo:guest/orchestration@0.1.0" "wait" (func $wait
    (param $tasks i32) (param $count i32) (param $returned i32)))

  ;; outcome: func() -> option<result<string, failure>>, a method: its first parameter is the task.
  (import "dacapo:guest/orchestration@0.1.0" "[method]task.outcome" (func $outcome
    (param $task i32) (param $returned i32)))

  ;; ---- Memory --------------------------------------------------------------------------------------------------------

  ;; The host reads arguments from this memory and writes results into it. It finds the memory by its name.
  (memory (export "memory") 1)

  ;; The address where free memory begins. Nothing is freed: each run has its own instance, which is discarded after it.
  (global $heap (mut i32) (i32.const 256))

  ;; The host calls this to allocate memory before it writes a string or a list. It never reallocates, so the first two
  ;; parameters are 0.
  (func $allocate (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $alignment i32) (param $size i32) (result i32)
    (local $at i32)
    ;; at = heap, rounded up to the alignment, which is a power of two
    (local.set $at
      (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $alignment) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $alignment))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    ;; Memory has pages of 64 KiB. Add pages while the heap exceeds the memory; trap if that fails.
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        unreachable))
    (local.get $at))

  ;; ---- Exports -------------------------------------------------------------------------------------------------------

  ;; describe: func() -> list<function>
  ;; An export returns the address of a result that does not fit into one number. Here the bytes are in the data section.
  (func (export "describe") (result i32)
    (i32.const 16))

  ;; run-orchestrator: func(name: string, input: string) -> result<string, failure>
  ;; There is only one orchestrator, so the name is not checked.
  (func (export "run-orchestrator")
    (param $name i32) (param $name_length i32) (param $input i32) (param $input_length i32) (result i32)
    ;; The list for `wait` has one element of four bytes: the handle.
    (i32.store (i32.const 64)
      (call $call_activity
        (i32.const 176) (i32.const 9)                   ;; "say_hello"
        (local.get $input) (local.get $input_length)
        (i32.const 0)                                   ;; no retry policy, so the rest is ignored
        (i32.const 0) (f64.const 0) (f64.const 0)
        (i32.const 0) (f64.const 0)
        (i32.const 0) (f64.const 0)
        (i32.const 0) (i32.const 0)))
    ;; The instance is suspended here. With one task, the indexes that the host writes to 96 carry no information.
    (call $wait (i32.const 64) (i32.const 1) (i32.const 96))
    ;; The outcome: a flag, which is 1 after `wait`, and at offset 4 a result<string, failure>. That is also the type that
    ;; this function returns, so the address of the activity's result is returned as it is.
    (call $outcome (i32.load (i32.const 64)) (i32.const 104))
    (i32.const 108))

  ;; run-activity: func(call: activity-call) -> result<string, failure>
  ;; A record is the parameters of its fields. The output is `["Hello",`, the input, and `]`: valid JSON for any input.
  (func (export "run-activity")
    (param $name i32) (param $name_length i32)
    (param $input i32) (param $input_length i32)
    (param $instance_id i32) (param $instance_id_length i32)
    (param $task_id i32)
    (param $attempt i32)
    (result i32)
    (local $output i32)
    ;; The input `null`: four bytes, compared as one number.
    (if (i32.and
          (i32.eq (local.get $input_length) (i32.const 4))
          (i32.eq (i32.load (local.get $input)) (i32.const 0x6c6c756e)))
      (then (return (call $nobody))))
    (local.set $output
      (call $allocate (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $input_length) (i32.const 10))))
    (memory.copy (local.get $output) (i32.const 190) (i32.const 9))
    (memory.copy (i32.add (local.get $output) (i32.const 9)) (local.get $input) (local.get $input_length))
    (i32.store8 (i32.add (local.get $output) (i32.add (local.get $input_length) (i32.const 9))) (i32.const 0x5d))
    ;; A result: the byte 0 for success, and the value at offset 4.
    (i32.store8 (i32.const 144) (i32.const 0))
    (i32.store (i32.const 148) (local.get $output))
    (i32.store (i32.const 152) (i32.add (local.get $input_length) (i32.const 10)))
    (i32.const 144))

  ;; A result: the byte 1 for failure, and the record `failure` at offset 4. The fields that are not written are 0: no
  ;; details, not retriable.
  (func $nobody (result i32)
    (i32.store8 (i32.const 144) (i32.const 1))
    (i32.store (i32.const 148) (i32.const 199)) (i32.store (i32.const 152) (i32.const 6))     ;; error-type
    (i32.store (i32.const 156) (i32.const 205)) (i32.store (i32.const 160) (i32.const 24))    ;; message
    (i32.const 144))

  ;; ---- Data (numbers are little-endian) ------------------------------------------------------------------------------

  ;; The list that `describe` returns: at 24, two elements.
  (data (i32.const 16) "\18\00\00\00" "\02\00\00\00")
  ;; The two functions: address and length of the name, and the kind in one byte, followed by three bytes of padding.
  (data (i32.const 24)
    "\b9\00\00\00" "\05\00\00\00" "\00\00\00\00"        ;; hello, an orchestrator
    "\b0\00\00\00" "\09\00\00\00" "\01\00\00\00")       ;; say_hello, an activity
  ;; The texts, without terminating zeros.
  (data (i32.const 176) "say_hello")
  (data (i32.const 185) "hello")
  (data (i32.const 190) "[\22Hello\22,")
  (data (i32.const 199) "Nobody")
  (data (i32.const 205) "there is nobody to greet"))

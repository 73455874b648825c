;; An app with an HTTP trigger: `POST /api/start` starts the orchestration `echo`, whose input and output is the request as the
;; trigger gets it, and answers with the id of the instance. `README.md` in this folder is the reference for signatures and
;; offsets; `hello.wat` explains the parts that both have.
;;
;; Memory, in bytes:
;;     16  what `describe` returns             64  the trigger that is listed      160  what `run-trigger` returns
;;     24  the function that it lists          96  what `start-orchestration`      192  texts
;;     48  what `describe-triggers` returns        returns                         512  the heap

(module
  ;; start-orchestration: func(name: string, input: string, instance-id: option<string>, version: option<string>,
  ;;   start-at: option<f64>) -> result<string, failure>
  (import "dacapo:guest/client@0.1.0" "start-orchestration" (func $start
    (param $name i32) (param $name_length i32)
    (param $input i32) (param $input_length i32)
    (param $has_instance_id i32) (param $instance_id i32) (param $instance_id_length i32)
    (param $has_version i32) (param $version i32) (param $version_length i32)
    (param $has_start_at i32) (param $start_at f64)
    (param $returned i32)))

  (memory (export "memory") 1)
  (global $heap (mut i32) (i32.const 512))

  (func $allocate (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $alignment i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $alignment) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $alignment))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        unreachable))
    (local.get $at))

  ;; describe: func() -> list<function>
  (func (export "describe") (result i32)
    (i32.const 16))

  ;; describe-triggers: func() -> list<trigger>. A trigger is two strings: its name and its bindings.
  (func (export "describe-triggers") (result i32)
    (i32.const 48))

  ;; run-orchestrator: func(name: string, input: string) -> result<string, failure>. Returns its input.
  (func (export "run-orchestrator")
    (param $name i32) (param $name_length i32) (param $input i32) (param $input_length i32) (result i32)
    (call $succeed (local.get $input) (local.get $input_length)))

  ;; run-trigger: func(call: trigger-call) -> result<string, failure>
  ;; The input is the request as JSON. The output is `{"response":{"status":202,"body":"`, the id, and `"}}`: ids that the host
  ;; generates need no escaping.
  (func (export "run-trigger")
    (param $name i32) (param $name_length i32)
    (param $input i32) (param $input_length i32)
    (param $invocation_id i32) (param $invocation_id_length i32)
    (param $attempt i32)
    (result i32)
    (local $output i32)
    (local $id_length i32)
    (call $start
      (i32.const 192) (i32.const 4)                           ;; "echo"
      (local.get $input) (local.get $input_length)
      (i32.const 0) (i32.const 0) (i32.const 0)               ;; no instance id: the host derives one from this call
      (i32.const 0) (i32.const 0) (i32.const 0)               ;; no version
      (i32.const 0) (f64.const 0)                             ;; at once
      (i32.const 96))
    ;; The byte 1 is a failure. This function returns the same type, so it fails with the same failure.
    (if (i32.load8_u (i32.const 96)) (then (return (i32.const 96))))
    (local.set $id_length (i32.load (i32.const 104)))
    (local.set $output
      (call $allocate (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (local.get $id_length) (i32.const 37))))
    (memory.copy (local.get $output) (i32.const 208) (i32.const 34))
    (memory.copy (i32.add (local.get $output) (i32.const 34)) (i32.load (i32.const 100)) (local.get $id_length))
    (memory.copy (i32.add (local.get $output) (i32.add (local.get $id_length) (i32.const 34))) (i32.const 242) (i32.const 3))
    (call $succeed (local.get $output) (i32.add (local.get $id_length) (i32.const 37))))

  ;; A result: the byte 0 for success, and the value at offset 4.
  (func $succeed (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 160) (i32.const 0))
    (i32.store (i32.const 164) (local.get $text))
    (i32.store (i32.const 168) (local.get $length))
    (i32.const 160))

  ;; The list that `describe` returns: at 24, one element.
  (data (i32.const 16) "\18\00\00\00" "\01\00\00\00")
  (data (i32.const 24) "\c0\00\00\00" "\04\00\00\00" "\00\00\00\00")                            ;; echo, an orchestrator
  ;; The list that `describe-triggers` returns: at 64, one element.
  (data (i32.const 48) "\40\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "\c4\00\00\00" "\05\00\00\00" "\f5\00\00\00" "\43\00\00\00")             ;; start, and its bindings
  (data (i32.const 192) "echo")
  (data (i32.const 196) "start")
  (data (i32.const 208) "{\22response\22:{\22status\22:202,\22body\22:\22")
  (data (i32.const 242) "\22}}")
  (data (i32.const 245) "[{\22type\22:\22httpTrigger\22,\22methods\22:[\22post\22],\22authLevel\22:\22anonymous\22}]"))

;; An observer that logs each event as it comes. Written by hand against wit/v0.1, with nobody's helper code; by-hand.wasm is what
;; `jco parse by-hand.wat -o by-hand.wasm` makes of it.
(component
  (import "cowhand:hooks/log@0.1.0" (instance $log
    (type $cases (enum "debug" "info" "warn"))
    (export "level" (type $level (eq $cases)))
    (export "write" (func (param "level" $level) (param "message" string)))))

  ;; Memory, and an allocator that never frees.
  (core module $allocator
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))
  (core instance $allocator (instantiate $allocator))
  (core func $write
    (canon lower (func $log "write") (memory $allocator "memory") (realloc (func $allocator "realloc"))))

  (core module $main
    (import "log" "write" (func $write (param i32 i32 i32)))
    (import "allocator" "memory" (memory 2))
    ;; The text of the event comes as its place and its length; `info` is 1. The answer, `ok`, is the byte 0 at its place.
    (func (export "event") (param $at i32) (param $length i32) (result i32)
      (call $write (i32.const 1) (local.get $at) (local.get $length))
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.const 16)))
  (core instance $main (instantiate $main
    (with "log" (instance (export "write" (func $write))))
    (with "allocator" (instance $allocator))))

  (func $event (param "json" string) (result (result (error string)))
    (canon lift (core func $main "event") (memory $allocator "memory") (realloc (func $allocator "realloc"))))
  (instance $observer (export "event" (func $event)))
  (export "cowhand:hooks/observer@0.1.0" (instance $observer)))

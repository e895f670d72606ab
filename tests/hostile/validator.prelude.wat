;; World manifest-validation. Finds nothing, but for `now` 666.
(import "carrara:policy/host@1.0.0" "log" (func $log (param i32 i32 i32)))
(memory (export "memory") 2)
(global $free (mut i32) (i32.const 65536))
;; A bump allocator that grows the memory: every call has an instance of its own, so nothing is ever freed.
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
  (global.set $free (i32.add (local.get $at) (local.get 3)))
  (block $fits
    (loop $more
      (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.const 16)))
      (br $more)))
  (local.get $at))
;; `ok`: the return area is zero.
(func (export "carrara:policy/configuration@1.0.0#check") (param i32 i32) (result i32) (i32.const 1024))
;; The question's context starts with settings (pointer, length), then `now`. The return area holds pointer and number of
;; the findings, of 40 bytes each: severity, code, path, message (pointer, length), hint. No finding: it is zero.
(func (export "carrara:policy/manifest-validator@1.0.0#validate") (param i32) (result i32)
  (if (result i32) (i64.eq (i64.load offset=8 (local.get 0)) (i64.const 666))
    (then (call $misbehave))
    (else (i32.const 2048))))
;; One finding, an error, at 4096: its return area.
(func $one (result i32)
  (i32.store (i32.const 3072) (i32.const 4096))
  (i32.store (i32.const 3076) (i32.const 1))
  (i32.const 3072))

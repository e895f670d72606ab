;; World marble-admission. Allows, but for `now` 666.
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
;; The question's context starts with settings (pointer, length), then `now`. `allow`: the return area is zero.
(func (export "carrara:policy/marble-admitter@1.0.0#admit") (param i32) (result i32)
  (if (result i32) (i64.eq (i64.load offset=8 (local.get 0)) (i64.const 666))
    (then (call $misbehave))
    (else (i32.const 2048))))

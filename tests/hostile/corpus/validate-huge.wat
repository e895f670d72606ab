;; Finds an error whose message has 32 MiB.
;; prelude: validator
;; ends: failed: fuel
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 512)))
  (i32.store offset=24 (i32.const 4096) (i32.const 33554432))
  (call $one))

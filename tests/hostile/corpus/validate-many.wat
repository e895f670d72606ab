;; Finds 800,000 errors, all of them empty: 32 MiB.
;; prelude: validator
;; ends: failed: fuel
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 512)))
  (drop (call $one))
  (i32.store (i32.const 3076) (i32.const 800000))
  (i32.const 3072))

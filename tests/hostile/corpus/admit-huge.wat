;; Denies with a message of 4 MiB.
;; prelude: admitter
;; ends: failed: fuel
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 64)))
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=16 (i32.const 3072) (i32.const 4194304))
  (i32.const 3072))

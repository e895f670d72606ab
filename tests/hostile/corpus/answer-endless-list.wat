;; Denies and names as many resources as a number can count.
;; prelude: authorizer
;; ends: failed: list pointer/length out of bounds
(func $misbehave (result i32)
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=32 (i32.const 3072) (i32.const 16)) (i32.store offset=36 (i32.const 3072) (i32.const -1))
  (i32.const 3072))

;; Denies with a message whose end is beyond the last address.
;; prelude: authorizer
;; ends: failed: string pointer/length out of bounds
(func $misbehave (result i32)
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=12 (i32.const 3072) (i32.const 16)) (i32.store offset=16 (i32.const 3072) (i32.const -1))
  (i32.const 3072))

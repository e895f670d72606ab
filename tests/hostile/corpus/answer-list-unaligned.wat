;; Denies and names resources at an odd address.
;; prelude: authorizer
;; ends: failed: align
(func $misbehave (result i32)
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=32 (i32.const 3072) (i32.const 4001)) (i32.store offset=36 (i32.const 3072) (i32.const 1))
  (i32.const 3072))

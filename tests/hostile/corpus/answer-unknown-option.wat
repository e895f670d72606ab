;; Denies with a hint that is neither there nor not there.
;; prelude: authorizer
;; ends: failed: invalid option discriminant
(func $misbehave (result i32)
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store8 offset=20 (i32.const 3072) (i32.const 5))
  (i32.const 3072))

;; Finds as many errors as a number can count.
;; prelude: validator
;; ends: failed: list pointer/length out of bounds
(func $misbehave (result i32)
  (drop (call $one))
  (i32.store (i32.const 3076) (i32.const -1))
  (i32.const 3072))

;; Finds what is neither an error nor a warning.
;; prelude: validator
;; ends: failed: discriminant
(func $misbehave (result i32) (i32.store8 (i32.const 4096) (i32.const 2)) (call $one))

;; Denies without a code.
;; prelude: admitter
;; ends: failed: without a code
(func $misbehave (result i32) (i32.store (i32.const 3072) (i32.const 1)) (i32.const 3072))

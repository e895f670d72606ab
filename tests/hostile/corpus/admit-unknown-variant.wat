;; Answers with a third kind of decision.
;; prelude: admitter
;; ends: failed: discriminant
(func $misbehave (result i32) (i32.store (i32.const 3072) (i32.const 2)) (i32.const 3072))

;; Answers at an odd address.
;; prelude: authorizer
;; ends: failed: align
(func $misbehave (result i32) (i32.const 3073))

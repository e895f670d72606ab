;; Finds an error without a word.
;; prelude: validator
;; ends: failed: without a message
(func $misbehave (result i32) (call $one))

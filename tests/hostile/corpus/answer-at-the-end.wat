;; Answers in the last byte of its memory.
;; prelude: authorizer
;; ends: failed: out of bounds of memory
(func $misbehave (result i32) (i32.const 131068))

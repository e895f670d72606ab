;; Recurses without end before it is asked.
;; prelude: authorizer
;; ends: failed: out of stack
(func $misbehave (result i32) (i32.const 2048))
(func $start (call $start) (call $start)) (start $start)

;; Calls itself for ever without using stack.
;; prelude: authorizer
;; ends: failed: 
(func $misbehave (result i32) (return_call $misbehave))

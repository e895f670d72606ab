;; Calls itself for ever without using stack.
;; prelude: authorizer
;; ends: failed: ran out of fuel
(func $misbehave (result i32) (return_call $misbehave))

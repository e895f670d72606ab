;; Calls itself for ever.
;; prelude: admitter
;; ends: failed: it ran out of stack
(func $misbehave (result i32) (i32.add (call $misbehave) (i32.const 1)))

;; Traps before it is asked.
;; prelude: authorizer
;; ends: failed: trapped
(func $misbehave (result i32) (i32.const 2048))
(func $start unreachable) (start $start)

;; Logs a text whose end is beyond the last address.
;; prelude: authorizer
;; ends: failed: string pointer/length out of bounds
(func $misbehave (result i32) (call $log (i32.const 1) (i32.const 16) (i32.const -1)) (i32.const 2048))

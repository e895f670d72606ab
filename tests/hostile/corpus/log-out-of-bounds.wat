;; Logs memory that it does not have.
;; prelude: authorizer
;; ends: failed: string pointer/length out of bounds
(func $misbehave (result i32) (call $log (i32.const 1) (i32.const -8) (i32.const 64)) (i32.const 2048))

;; Logs memory that it does not have.
;; prelude: authorizer
;; ends: failed: 
(func $misbehave (result i32) (call $log (i32.const 1) (i32.const -8) (i32.const 64)) (i32.const 2048))

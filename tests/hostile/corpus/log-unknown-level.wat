;; Logs with a level that there is not.
;; prelude: authorizer
;; ends: failed: unexpected discriminant: 7
(func $misbehave (result i32) (call $log (i32.const 7) (i32.const 0) (i32.const 1)) (i32.const 2048))

;; Logs what is not UTF-8.
;; prelude: authorizer
;; ends: failed: utf-8
(data (i32.const 4000) "\ff\fe")
(func $misbehave (result i32) (call $log (i32.const 1) (i32.const 4000) (i32.const 2)) (i32.const 2048))

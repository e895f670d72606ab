;; Calls the host while the host hands it the question.
;; prelude: authorizer-bare
;; ends: failed: cannot leave component instance
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $log (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 4096))
(func $misbehave (result i32) (i32.const 2048))

;; Calls the host when its answer has been read.
;; prelude: authorizer
;; ends: failed: cannot leave component instance
(func $misbehave (result i32) (i32.const 2048))
(func (export "cabi_post_carrara:policy/role-authorizer@1.0.0#authorize") (param i32) (call $log (i32.const 0) (i32.const 0) (i32.const 1)))

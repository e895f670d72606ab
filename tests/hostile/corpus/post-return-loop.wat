;; Never ends when its answer has been read.
;; prelude: authorizer
;; ends: failed: fuel|did not end
(func $misbehave (result i32) (i32.const 2048))
(func (export "cabi_post_carrara:policy/role-authorizer@1.0.0#authorize") (param i32) (loop $forever (br $forever)))

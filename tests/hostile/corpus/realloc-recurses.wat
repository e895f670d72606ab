;; Recurses without end when the host wants memory.
;; prelude: authorizer-bare
;; ends: failed: out of stack
(func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $deeper))
(func $misbehave (result i32) (i32.const 2048))

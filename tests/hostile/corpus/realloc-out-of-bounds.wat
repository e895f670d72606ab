;; Gives the host memory that it does not have.
;; prelude: authorizer-bare
;; ends: failed: realloc return
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -65536))
(func $misbehave (result i32) (i32.const 2048))

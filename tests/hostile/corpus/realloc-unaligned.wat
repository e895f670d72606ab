;; Gives the host memory at an odd address.
;; prelude: authorizer-bare
;; ends: failed: realloc return
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4097))
(func $misbehave (result i32) (i32.const 2048))

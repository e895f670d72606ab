;; Gives the host the memory where its own answer lies.
;; prelude: authorizer-bare
;; ends: answered:
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
(func $misbehave (result i32) (i32.const 2048))

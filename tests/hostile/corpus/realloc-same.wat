;; Gives the host the same memory for everything, so that parts of the question overwrite each other.
;; prelude: authorizer-bare
;; ends: answered:
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
(func $misbehave (result i32) (i32.const 2048))

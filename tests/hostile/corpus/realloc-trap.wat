;; Traps when the host wants memory for the question.
;; prelude: authorizer-bare
;; ends: failed: trapped
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
(func $misbehave (result i32) (i32.const 2048))

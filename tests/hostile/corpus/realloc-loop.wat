;; Never ends when the host wants memory for the question.
;; prelude: authorizer-bare
;; ends: failed: fuel|did not end
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop $forever (br $forever)) (unreachable))
(func $misbehave (result i32) (i32.const 2048))

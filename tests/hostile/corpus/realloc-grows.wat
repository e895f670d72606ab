;; Grows its memory by 16 MiB whenever the host wants some.
;; prelude: authorizer-bare
;; ends: failed: memory
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop $more (drop (memory.grow (i32.const 256))) (br $more)) (i32.const 4096))
(func $misbehave (result i32) (i32.const 2048))

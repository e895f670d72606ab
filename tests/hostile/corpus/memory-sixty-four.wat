;; Has a memory with addresses of 64 bits and grows it beyond all bounds.
;; prelude: authorizer
;; ends: failed: memory
(memory $wide i64 1)
(func $misbehave (result i32) (drop (memory.grow $wide (i64.const 0x1000000000))) (i32.const 2048))

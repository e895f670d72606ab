;; Waits for a word of memory to change.
;; prelude: authorizer
;; ends: refused: threads support is not enabled
(func $misbehave (result i32) (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))) (i32.const 2048))

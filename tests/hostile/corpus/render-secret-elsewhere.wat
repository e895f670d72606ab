;; Wants the answer about a secret written where it has no memory.
;; prelude: renderer
;; ends: failed: pointer out of bounds
(func $misbehave (param i32) (call $lookup (i32.const 0) (i32.const 512) (i32.const 3) (i32.const -16)))

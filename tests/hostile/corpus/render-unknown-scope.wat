;; Looks in a scope that there is not.
;; prelude: renderer
;; ends: failed: unexpected discriminant: 9
(func $misbehave (param i32) (call $lookup (i32.const 9) (i32.const 512) (i32.const 3) (i32.const 1536)))

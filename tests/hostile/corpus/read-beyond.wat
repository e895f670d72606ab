;; Reads beyond its memory.
;; prelude: authorizer
;; ends: failed: out of bounds
(func $misbehave (result i32) (i32.load (i32.const -4)))

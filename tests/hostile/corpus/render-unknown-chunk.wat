;; Answers a third kind of chunk.
;; prelude: renderer
;; ends: failed: unexpected discriminant: 2
(func $misbehave (param i32)
  (i32.store (i32.const 4096) (i32.const 8192)) (i32.store offset=4 (i32.const 4096) (i32.const 1)) (i32.store8 (i32.const 8192) (i32.const 2)))

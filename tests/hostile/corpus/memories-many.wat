;; Has 17 memories, of each of which an image would be made.
;; prelude: authorizer
;; ends: refused: more than 16 memories
(memory $m1 1) (memory $m2 1) (memory $m3 1) (memory $m4 1) (memory $m5 1) (memory $m6 1) (memory $m7 1) (memory $m8 1)
(memory $m9 1) (memory $m10 1) (memory $m11 1) (memory $m12 1) (memory $m13 1) (memory $m14 1) (memory $m15 1) (memory $m16 1)
(memory $m17 1)
(func $misbehave (result i32) (i32.const 2048))

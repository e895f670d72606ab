;; Encodes a secret that it never looked up.
;; prelude: renderer
;; ends: failed: handle
(func $misbehave (param i32) (call $encode (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1600)))

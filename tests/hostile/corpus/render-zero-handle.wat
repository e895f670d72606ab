;; Encodes the secret of handle 0, and then answers it.
;; prelude: renderer
;; ends: failed: handle
(func $misbehave (param i32) (call $answer (i32.const 0) (i32.const 1)))

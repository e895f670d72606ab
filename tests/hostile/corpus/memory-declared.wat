;; Declares a memory of 4 GiB.
;; prelude: authorizer
;; ends: failed: memory
(memory $big 65536)
(func $misbehave (result i32) (i32.const 2048))

;; Denies with a code that is not UTF-8.
;; prelude: admitter
;; ends: failed: utf-8
(data (i32.const 4000) "\ff\fe")
(func $misbehave (result i32)
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=4 (i32.const 3072) (i32.const 4000))
  (i32.store offset=8 (i32.const 3072) (i32.const 2))
  (i32.const 3072))

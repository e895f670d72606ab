;; Finds an error at a path that is not UTF-8.
;; prelude: validator
;; ends: failed: utf-8
(data (i32.const 8000) "\ff\fe")
(func $misbehave (result i32)
  (i32.store offset=12 (i32.const 4096) (i32.const 8000))
  (i32.store offset=16 (i32.const 4096) (i32.const 2))
  (call $one))

;; Denies and names 100,000 resources, all empty, so that the list costs the host more than its bytes.
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 64)))
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=32 (i32.const 3072) (i32.const 131072))
  (i32.store offset=36 (i32.const 3072) (i32.const 100000))
  (i32.const 3072))

;; Hands the host a log line of 2 MiB.
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 32)))
  (call $log (i32.const 1) (i32.const 0) (i32.const 2097152))
  (i32.const 2048))

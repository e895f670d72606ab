;; Logs one line of 4,096 bytes that starts like another line. Not a failure: the line is cleaned and cut.
(data (i32.const 4000) "first\0aERROR second\1b[0m")
(func $misbehave (result i32)
  (memory.fill (i32.const 4022) (i32.const 120) (i32.const 4096))
  (call $log (i32.const 2) (i32.const 4000) (i32.const 4096))
  (i32.const 2048))

;; Writes to the log for ever.
(func $misbehave (result i32)
  (loop $more (call $log (i32.const 1) (i32.const 0) (i32.const 100)) (br $more)) (unreachable))

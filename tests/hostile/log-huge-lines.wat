;; Hands the host more bytes in log lines than a call may: 32 lines of 64 KiB.
(func $misbehave (result i32)
  (loop $more (call $log (i32.const 1) (i32.const 0) (i32.const 65536)) (br $more)) (unreachable))

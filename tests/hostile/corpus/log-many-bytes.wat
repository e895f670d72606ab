;; Logs lines of 64 KiB, as many as there may be.
;; prelude: authorizer
;; ends: allowed:
(func $misbehave (result i32)
  (local $left i32)
  (local.set $left (i32.const 15))
  (loop $more
    (call $log (i32.const 0) (i32.const 0) (i32.const 65536))
    (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
  (i32.const 2048))

;; Finds 20,000 errors that have one message of 64 KiB: little for the guest, 1.3 GB for the host.
;; prelude: validator
;; ends: failed: fuel
(func $misbehave (result i32)
  (local $at i32)
  (drop (memory.grow (i32.const 16)))
  (local.set $at (i32.const 4096))
  (loop $more
    (i32.store offset=24 (local.get $at) (i32.const 65536))
    (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 40))) (i32.const 804096))))
  (drop (call $one))
  (i32.store (i32.const 3076) (i32.const 20000))
  (i32.const 3072))

;; Denies and names 20,000 resources that are one text of 64 KiB: little for the guest, 1.3 GB for the host.
;; prelude: authorizer
;; ends: failed: fuel
(func $misbehave (result i32)
  (local $at i32)
  (drop (memory.grow (i32.const 16)))
  (memory.fill (i32.const 300000) (i32.const 120) (i32.const 65536))
  (local.set $at (i32.const 131072))
  (loop $next
    (i32.store (local.get $at) (i32.const 300000))
    (i32.store offset=4 (local.get $at) (i32.const 65536))
    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 291072))))
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=32 (i32.const 3072) (i32.const 131072))
  (i32.store offset=36 (i32.const 3072) (i32.const 20000))
  (i32.const 3072))

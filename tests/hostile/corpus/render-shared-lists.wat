;; Answers for one template 16,000 lists that are one list of 10,000 chunks.
;; prelude: renderer
;; ends: failed: fuel
(func $misbehave (param i32)
  (local $at i32)
  (drop (memory.grow (i32.const 8)))
  (local.set $at (i32.const 200000))
  (loop $next
    (i32.store (local.get $at) (i32.const 400000))
    (i32.store offset=4 (local.get $at) (i32.const 10000))
    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 328000))))
  (i32.store offset=4 (i32.const 2048) (i32.const 200000))
  (i32.store offset=8 (i32.const 2048) (i32.const 16000)))

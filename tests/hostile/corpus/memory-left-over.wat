;; Traps if memory is not zero at first, then fills it for whoever comes next.
;; prelude: authorizer
;; ends: allowed:
(func $misbehave (result i32)
  (local $at i32)
  (local.set $at (i32.mul (memory.size) (i32.const 65536)))
  (drop (memory.grow (i32.const 64)))
  (loop $next
    (if (i32.load (local.get $at)) (then (unreachable)))
    (i32.store (local.get $at) (i32.const -1))
    (local.set $at (i32.add (local.get $at) (i32.const 64)))
    (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
  (i32.const 2048))

;; Lets one instruction after the other move 1 MiB.
;; prelude: authorizer
;; ends: failed: ran out of fuel
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 32)))
  (loop $more (memory.copy (i32.const 1) (i32.const 0) (i32.const 1048576)) (br $more)) (unreachable))

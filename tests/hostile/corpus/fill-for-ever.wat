;; Lets one instruction after the other fill 1 MiB, which is much work for little code.
;; prelude: authorizer
;; ends: failed: ran out of fuel
(func $misbehave (result i32)
  (drop (memory.grow (i32.const 16)))
  (loop $more (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576)) (br $more)) (unreachable))

;; Asks for no more memory, for ever, which costs the host work.
;; prelude: authorizer
;; ends: failed: fuel|did not end
(func $misbehave (result i32)
  (loop $more (drop (memory.grow (i32.const 0))) (br $more)) (unreachable))

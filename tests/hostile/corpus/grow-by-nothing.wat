;; Asks for no more memory, for ever, which costs the host work. Fuel counts the instruction, about one each, and not the
;; call of the host behind it, which takes far longer: the deadline may end it before its fuel does. Either bounds it.
;; prelude: authorizer
;; ends: failed: fuel|did not end
(func $misbehave (result i32)
  (loop $more (drop (memory.grow (i32.const 0))) (br $more)) (unreachable))

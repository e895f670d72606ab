;; Has two more memories and grows them.
;; prelude: authorizer
;; ends: failed: memory
(memory $a 1) (memory $b 1)
(func $misbehave (result i32)
  (loop $more (drop (memory.grow $a (i32.const 256))) (drop (memory.grow $b (i32.const 256))) (br $more)) (unreachable))

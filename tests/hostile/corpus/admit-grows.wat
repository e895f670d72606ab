;; Takes all the memory that it can get.
;; prelude: admitter
;; ends: failed: memory
(func $misbehave (result i32) (loop $more (drop (memory.grow (i32.const 16))) (br $more)) (unreachable))

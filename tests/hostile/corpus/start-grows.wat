;; Takes all the memory that it can get before it is asked.
;; prelude: authorizer
;; ends: failed: memory
(func $misbehave (result i32) (i32.const 2048))
(func $start (loop $more (drop (memory.grow (i32.const 16))) (br $more))) (start $start)

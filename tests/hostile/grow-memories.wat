;; Takes half of the memory that it may have in one memory, and as much in another one.
(memory $other 0)
(func $misbehave (result i32)
  (if (i32.eq (memory.grow (i32.const 512)) (i32.const -1)) (then (unreachable)))
  (if (i32.eq (memory.grow $other (i32.const 512)) (i32.const -1)) (then (unreachable)))
  (i32.const 2048))

;; Never ends before it is even asked.
(func $misbehave (result i32) (i32.const 2048))
(func $start (loop $forever (br $forever)))
(start $start)

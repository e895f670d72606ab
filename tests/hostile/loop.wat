;; Never ends.
(func $misbehave (result i32) (loop $forever (br $forever)) (unreachable))

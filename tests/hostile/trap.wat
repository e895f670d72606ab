;; What a panic becomes.
(func $misbehave (result i32) (unreachable))

;; Allows once per instance: what it remembers must not outlive the call.
(global $asked (mut i32) (i32.const 0))
(func $misbehave (result i32)
  (if (global.get $asked) (then (unreachable)))
  (global.set $asked (i32.const 1))
  (i32.const 2048))

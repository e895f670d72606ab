;; Answers a handle that it was never given.
(func $misbehave (param i32) (call $answer (i32.const 77) (i32.const 1)))

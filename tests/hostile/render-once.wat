;; What a renderer should do. Not a failure.
(func $misbehave (param i32) (call $answer (call $fragment) (i32.const 1)))

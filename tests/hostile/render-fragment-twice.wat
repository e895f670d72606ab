;; Places one fragment in two places.
(func $misbehave (param i32) (call $answer (call $fragment) (i32.const 2)))

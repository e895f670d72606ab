;; Answers the secret itself where a fragment belongs.
(func $misbehave (param i32) (call $answer (call $secret) (i32.const 1)))

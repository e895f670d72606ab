;; Answers from where there is no memory.
(func $misbehave (result i32) (i32.const -64))

;; Shares a memory between threads.
;; prelude: authorizer
;; ends: refused: threads
(memory $shared 1 1 shared)
(func $misbehave (result i32) (i32.const 2048))

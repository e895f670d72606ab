;; Declares a table of 100 million elements.
;; prelude: authorizer
;; ends: failed: table
(table 100000000 funcref)
(func $misbehave (result i32) (i32.const 2048))

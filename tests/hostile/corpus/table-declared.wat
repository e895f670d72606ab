;; Declares a table of 100 million elements.
;; prelude: authorizer
;; ends: refused: the tables of the component have more than 100000 elements
(table 100000000 funcref)
(func $misbehave (result i32) (i32.const 2048))

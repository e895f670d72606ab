;; Declares a table of 900,000 elements, which is looked at but never made.
;; prelude: authorizer
;; ends: failed: table
(table 900000 funcref)
(func $misbehave (result i32) (i32.const 2048))

;; Calls a function that is not there.
;; prelude: authorizer
;; ends: failed: trapped
(table 1 funcref) (type $t (func (result i32)))
(func $misbehave (result i32) (call_indirect (type $t) (i32.const 0)))

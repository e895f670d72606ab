;; Calls a function as one of another type.
;; prelude: authorizer
;; ends: failed: trapped
(table 1 funcref) (elem (i32.const 0) $f) (func $f (param i64)) (type $t (func (result i32)))
(func $misbehave (result i32) (call_indirect (type $t) (i32.const 0)))

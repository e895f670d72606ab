;; Traps if a table is not empty at first, then fills it for whoever comes next.
;; prelude: authorizer
;; ends: allowed:
(table $t 100 funcref)
(elem declare func $filler)
(func $filler)
(func $misbehave (result i32)
  (if (i32.eqz (ref.is_null (table.get $t (i32.const 50)))) (then (unreachable)))
  (table.fill $t (i32.const 0) (ref.func $filler) (i32.const 100))
  (i32.const 2048))

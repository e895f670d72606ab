;; Takes most of the elements that it may have in one table, and as many in another one.
(table $one 1 funcref)
(table $other 1 funcref)
(func $misbehave (result i32)
  (if (i32.eq (table.grow $one (ref.null func) (i32.const 60000)) (i32.const -1)) (then (unreachable)))
  (if (i32.eq (table.grow $other (ref.null func) (i32.const 60000)) (i32.const -1)) (then (unreachable)))
  (i32.const 2048))

;; Takes all the table elements that it can get.
(table $elements 1 funcref)
(func $misbehave (result i32)
  (loop $more (drop (table.grow $elements (ref.null func) (i32.const 50000))) (br $more)) (unreachable))

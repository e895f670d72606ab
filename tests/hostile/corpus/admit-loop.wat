;; Never ends.
;; prelude: admitter
;; ends: failed: fuel|did not end
(func $misbehave (result i32) (loop $forever (br $forever)) (unreachable))

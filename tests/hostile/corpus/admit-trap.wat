;; Ends by a trap.
;; prelude: admitter
;; ends: failed: it trapped
(func $misbehave (result i32) (unreachable))

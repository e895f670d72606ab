;; Ends by a trap.
;; prelude: validator
;; ends: failed: it trapped
(func $misbehave (result i32) (unreachable))

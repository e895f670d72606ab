;; Asks for a part that there is not.
;; prelude: renderer
;; ends: failed: unexpected discriminant: 99
(func $misbehave (param i32) (call $encode (call $secret) (i32.const 99) (i32.const 0) (i32.const 1600)))

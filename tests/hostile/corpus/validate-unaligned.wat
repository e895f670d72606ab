;; Puts its findings at an odd address.
;; prelude: validator
;; ends: failed: align
(func $misbehave (result i32) (drop (call $one)) (i32.store (i32.const 3072) (i32.const 4097)) (i32.const 3072))

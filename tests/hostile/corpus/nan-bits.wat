;; Traps unless a NaN that was computed has the bits that it has everywhere.
;; prelude: authorizer
;; ends: allowed:
(func $misbehave (result i32)
  (if (i32.ne (i32.reinterpret_f32 (f32.add (f32.reinterpret_i32 (i32.const 0x7fc00123)) (f32.const 1))) (i32.const 0x7fc00000))
    (then (unreachable)))
  (if (i64.ne (i64.reinterpret_f64 (f64.mul (f64.const inf) (f64.const 0))) (i64.const 0x7ff8000000000000)) (then (unreachable)))
  (if (i32.ne (i32.reinterpret_f32 (f32.sqrt (f32.const -1))) (i32.const 0x7fc00000)) (then (unreachable)))
  (i32.const 2048))

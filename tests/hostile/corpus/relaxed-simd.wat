;; Asks for an instruction whose result shows the processor.
;; prelude: authorizer
;; ends: refused: relaxed
(func $misbehave (result i32)
  (i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (f32.const nan)))))

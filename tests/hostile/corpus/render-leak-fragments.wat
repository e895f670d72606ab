;; Encodes a secret again and again and lets no fragment go.
;; prelude: renderer
;; ends: failed: handle|resource table
(func $misbehave (param i32) (loop $more (drop (call $fragment)) (br $more)))

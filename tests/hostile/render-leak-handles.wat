;; Looks secrets up and never lets go.
(func $misbehave (param i32) (loop $more (drop (call $secret)) (br $more)))

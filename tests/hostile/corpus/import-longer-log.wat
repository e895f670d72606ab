;; Imports a log that takes one word less.
;; prelude: none
;; ends: refused: differs
(component
  (import "carrara:policy/host@1.0.0" (instance
    (export "log" (func (param "message" string))))))

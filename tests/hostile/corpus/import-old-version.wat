;; Imports the log of a version before the first.
;; prelude: none
;; ends: refused: carrara:policy/host@0.9.0
(component (import "carrara:policy/host@0.9.0" (instance)))

;; Imports what no policy may have.
;; prelude: none
;; ends: refused: imports
(component (import "carrara:policy/HOST@1.0.0" (instance)))

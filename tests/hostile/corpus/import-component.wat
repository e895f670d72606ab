;; Imports what no policy may have.
;; prelude: none
;; ends: refused: imports
(component (import "other" (component)))

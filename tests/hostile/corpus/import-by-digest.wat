;; Imports what no policy may have.
;; prelude: none
;; ends: refused: imports
(component (import "locked-dep=<carrara:policy/host@1.0.0>" (instance)))

;; Is empty.
;; prelude: none
;; ends: refused: does not export
(component)

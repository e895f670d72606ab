;; Is no component.
;; prelude: none
;; ends: refused: core module
(module)

;; Imports what no policy may have.
;; prelude: none
;; ends: refused: imports
(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))

;; Imports what no policy may have.
;; prelude: none
;; ends: refused: imports
(component (import "url=<https://example.org/library.wasm>" (instance)))

;; Imports a function that would give it a secret's bytes.
;; prelude: none
;; ends: refused: bytes
(component (import "carrara:policy/secrets@1.0.0" (instance
  (export "bytes" (func (param "name" string) (result (list u8)))))))

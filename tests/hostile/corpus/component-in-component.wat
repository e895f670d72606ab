;; Is a policy only inside: on its surface there is nothing.
;; prelude: none
;; ends: refused: does not export
(component (component $inner (component)) (instance (instantiate $inner)))

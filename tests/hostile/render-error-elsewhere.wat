;; Reports an error in a template that there is not.
(func $misbehave (param $templates i32)
  (i32.store (i32.const 2048) (i32.const 1))
  (i32.store offset=4 (i32.const 2048) (local.get $templates)))

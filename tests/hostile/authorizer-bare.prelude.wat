;; World role-authorization without an allocator, which the guest brings itself. Allows, but for `now` 666.
(import "carrara:policy/host@1.0.0" "log" (func $log (param i32 i32 i32)))
(memory (export "memory") 2)
(func (export "carrara:policy/configuration@1.0.0#check") (param i32 i32) (result i32) (i32.const 1024))
(func (export "carrara:policy/role-authorizer@1.0.0#authorize") (param i32) (result i32)
  (if (result i32) (i64.eq (i64.load offset=8 (local.get 0)) (i64.const 666))
    (then (call $misbehave))
    (else (i32.const 2048))))

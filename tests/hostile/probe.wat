;; A renderer that learns all that it can of every secret: names, what is declared, which parts are set, and for each part and
;; encoding whether it can be placed. It folds each byte that the host ever gives it into one number, writes the number to the log after
;; each secret, and works as long as the number's last digits say. A template `e` fails with the number, a template `p` becomes
;; the number and then `.Secrets.key` as hex. While a manifest or an upload is tried out, secrets that are not set seem to have all
;; parts: `e` fails only where `.Secrets.switch` has none, so that it is accepted and fails when a Marble starts.
(import "carrara:policy/host@1.0.0" "log" (func $log (param i32 i32 i32)))
(import "carrara:policy/secrets@1.0.0" "names" (func $names (param i32 i32)))
(import "carrara:policy/secrets@1.0.0" "lookup" (func $lookup (param i32 i32 i32 i32)))
(import "carrara:policy/secrets@1.0.0" "[method]secret.info" (func $info (param i32 i32)))
(import "carrara:policy/secrets@1.0.0" "[method]secret.encode" (func $encode (param i32 i32 i32 i32)))
(memory (export "memory") 8)
(global $free (mut i32) (i32.const 65536))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
  (global.set $free (i32.add (local.get $at) (local.get 3)))
  (local.get $at))
(func (export "carrara:policy/configuration@1.0.0#check") (param i32 i32) (result i32) (i32.const 1024))
(data (i32.const 512) "key")
(data (i32.const 1184) "observed ")
(global $number (mut i64) (i64.const 1469598103934665603))
;; Of `.Secrets.switch`, the last one of its scope.
(global $parts (mut i32) (i32.const 0))

(func $fold (param $at i32) (param $length i32)
  (local $end i32)
  (local.set $end (i32.add (local.get $at) (local.get $length)))
  (block $done
    (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (global.set $number
        (i64.mul (i64.xor (global.get $number) (i64.load8_u (local.get $at))) (i64.const 1099511628211)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))))

;; As hexadecimal digits at 1193, and to the log.
(func $tell
  (local $at i32) (local $digit i32)
  (loop $next
    (local.set $digit (i32.wrap_i64 (i64.and
      (i64.shr_u (global.get $number) (i64.extend_i32_u (i32.mul (local.get $at) (i32.const 4)))) (i64.const 15))))
    (i32.store8 offset=1193 (local.get $at)
      (i32.add (local.get $digit) (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $digit) (i32.const 9)))))
    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 16))))
  (call $log (i32.const 2) (i32.const 1184) (i32.const 25)))

;; Works for as long as the number says.
(func $work
  (local $left i32)
  (local.set $left (i32.and (i32.wrap_i64 (global.get $number)) (i32.const 0xffff)))
  (block $done
    (loop $more
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $more))))

(func $clear (param $at i32) (i64.store (local.get $at) (i64.const 0)) (i64.store offset=8 (local.get $at) (i64.const 0)))

(func $look (param $scope i32) (param $name i32) (param $length i32)
  (local $secret i32) (local $try i32)
  (call $clear (i32.const 1536))
  (call $lookup (local.get $scope) (local.get $name) (local.get $length) (i32.const 1536))
  (call $fold (i32.const 1536) (i32.const 16))
  (if (i32.load8_u (i32.const 1536)) (then (return)))
  (local.set $secret (i32.load offset=4 (i32.const 1536)))
  ;; Name, kind, size, shared, user-defined, valid-for, parts.
  (call $info (local.get $secret) (i32.const 1600))
  (call $fold (i32.const 1600) (i32.const 36))
  (call $fold (i32.load offset=8 (i32.const 1600)) (i32.load offset=12 (i32.const 1600)))
  (call $fold (i32.load offset=28 (i32.const 1600)) (i32.load offset=32 (i32.const 1600)))
  (if (i32.eqz (local.get $scope)) (then (global.set $parts (i32.load offset=32 (i32.const 1600)))))
  ;; Four parts in five encodings.
  (loop $next
    (call $clear (i32.const 1700))
    (call $encode (local.get $secret) (i32.rem_u (local.get $try) (i32.const 4)) (i32.div_u (local.get $try) (i32.const 4))
      (i32.const 1700))
    (call $fold (i32.const 1700) (i32.const 16))
    (br_if $next (i32.lt_u (local.tee $try (i32.add (local.get $try) (i32.const 1))) (i32.const 20))))
  (call $work)
  (call $tell))

(func (export "carrara:policy/secret-renderer@1.0.0#render")
  (param i32 i32 i64 i64 i32 i32) (param $templates i32) (param $count i32) (result i32)
  (local $scope i32) (local $at i32) (local $left i32)
  (loop $scopes
    (call $names (local.get $scope) (i32.const 1500))
    (local.set $at (i32.load (i32.const 1500)))
    (local.set $left (i32.load offset=4 (i32.const 1500)))
    (block $done
      (loop $each
        (br_if $done (i32.eqz (local.get $left)))
        (call $fold (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
        (call $look (local.get $scope) (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $each)))
    (br_if $scopes (i32.lt_u (local.tee $scope (i32.add (local.get $scope) (i32.const 1))) (i32.const 3))))
  ;; The number comes first, as text.
  (i32.store offset=4 (i32.const 8192) (i32.const 1184))
  (i32.store offset=8 (i32.const 8192) (i32.const 25))
  (i32.store (i32.const 4096) (i32.const 8192))
  (i32.store offset=4 (i32.const 4096) (i32.const 1))
  (i32.store offset=4 (i32.const 2048) (i32.const 4096))
  (i32.store offset=8 (i32.const 2048) (i32.const 1))
  (if (i32.eq (i32.load8_u (i32.load offset=12 (local.get $templates))) (i32.const 101))
    (then
      (if (i32.eqz (global.get $parts))
        (then
          ;; An error in the first template, with the number as its message.
          (i32.store (i32.const 2048) (i32.const 1))
          (i32.store offset=4 (i32.const 2048) (i32.const 0))
          (i32.store offset=8 (i32.const 2048) (i32.const 0))
          (i32.store offset=16 (i32.const 2048) (i32.const 1184))
          (i32.store offset=20 (i32.const 2048) (i32.const 25)))))
    (else
      (call $lookup (i32.const 0) (i32.const 512) (i32.const 3) (i32.const 1536))
      (call $encode (i32.load offset=4 (i32.const 1536)) (i32.const 0) (i32.const 1) (i32.const 1700))
      (if (i32.load8_u (i32.const 1700)) (then (unreachable)))
      (i32.store (i32.const 8204) (i32.const 1))
      (i32.store offset=4 (i32.const 8204) (i32.load offset=4 (i32.const 1700)))
      (i32.store offset=4 (i32.const 4096) (i32.const 2))))
  (i32.const 2048))

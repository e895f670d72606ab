//! Small policies as texts, for tests of what a coordinator does with policies.

use sha2::{Digest as _, Sha256};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::root;

/// The body of a policy that allows: memory is zero there.
pub const ALLOW: &str = "(i32.const 2048)";

/// Memory, an allocator, the log, and settings that are always right.
const COMMON: &str = r#"
(import "carrara:policy/host@1.0.0" "log" (func $log (param i32 i32 i32)))
(memory (export "memory") 4)
(global $free (mut i32) (i32.const 65536))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
  (global.set $free (i32.add (local.get $at) (local.get 3)))
  (block $fits
    (loop $more
      (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.const 16)))
      (br $more)))
  (local.get $at))
(func (export "carrara:policy/configuration@1.0.0#check") (param i32 i32) (result i32) (i32.const 1024))
"#;

/// An authorizer that answers with `body`: [`ALLOW`] or `(call $deny)`, a denial whose code and message are the text. In the
/// question `$asked` the action's length is at 60.
#[must_use]
pub fn authorizer(text: &str, body: &str) -> Vec<u8> {
    decides("role-authorization", "role-authorizer@1.0.0#authorize", text, body)
}

/// An admitter that answers with `body`, as [`authorizer`].
#[must_use]
pub fn admitter(text: &str, body: &str) -> Vec<u8> {
    decides("marble-admission", "marble-admitter@1.0.0#admit", text, body)
}

/// A validator that refuses full updates alone, with one error whose code and message are the text.
#[must_use]
pub fn no_updates(text: &str) -> Vec<u8> {
    let length = text.len();
    component(
        "manifest-validation",
        &format!(
            r#"(data (i32.const 512) "{text}")
            (func (export "carrara:policy/manifest-validator@1.0.0#validate") (param $asked i32) (result i32)
              (if (i32.eq (i32.load offset=36 (local.get $asked)) (i32.const 11))
                (then
                  (i32.store (i32.const 2048) (i32.const 3072)) (i32.store (i32.const 2052) (i32.const 1))
                  (i32.store (i32.const 3076) (i32.const 512)) (i32.store (i32.const 3080) (i32.const {length}))
                  (i32.store (i32.const 3092) (i32.const 512)) (i32.store (i32.const 3096) (i32.const {length}))))
              (i32.const 2048))"#
        ),
    )
}

fn decides(world: &str, function: &str, text: &str, body: &str) -> Vec<u8> {
    let length = text.len();
    component(
        world,
        &format!(
            r#"(data (i32.const 512) "{text}")
            (func (export "carrara:policy/{function}") (param $asked i32) (result i32) {body})
            (func $deny (result i32)
              (i32.store (i32.const 3072) (i32.const 1))
              (i32.store (i32.const 3076) (i32.const 512)) (i32.store (i32.const 3080) (i32.const {length}))
              (i32.store (i32.const 3084) (i32.const 512)) (i32.store (i32.const 3088) (i32.const {length}))
              (i32.const 3072))"#
        ),
    )
}

/// A component of a module with these fields beside memory, allocator, log and check of settings.
///
/// # Panics
/// If the text is no module, or lacks an export of the world.
#[must_use]
pub fn component(world: &str, fields: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {COMMON} {fields})")).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// How a manifest names a component.
#[must_use]
pub fn digest(component: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(component)))
}

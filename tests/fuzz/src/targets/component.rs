//! The bytes of a policy: what is looked at before compiling, and for small ones compiling and linking, too.

use carrara_wasm::{PolicyHost, PolicySource, Surface, World};

/// Compiling without optimisation takes a second per some 100 KB.
const COMPILED_BYTES: usize = 4096;

pub(super) fn run(input: &[u8]) {
    let read = Surface::read(input);
    match &read {
        Ok(surface) => {
            assert_eq!(Surface::read(input).expect("read once"), *surface);
            assert!(surface.imports.iter().all(|import| import.starts_with("carrara:policy/")));
            for world in World::ALL {
                assert_eq!(surface.fits(world).is_ok(), surface.worlds().contains(&world));
            }
        }
        Err(error) => assert!(error.to_string().len() < 1024, "an error that repeats the component"),
    }
    let worlds = read.map(|surface| surface.worlds()).unwrap_or_default();
    if let (Some(world), true) = (worlds.first(), input.len() <= COMPILED_BYTES) {
        let mut host = PolicyHost::empty().expect("a host");
        let added = host.add(PolicySource::new("fuzzed", *world, input.to_vec()));
        assert_eq!(added.is_ok(), host.policies().len() == 1);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "(component)",
        "(module)",
        "(component (core module (func (local i32 i64) nop)) (core module))",
        r#"(component (import "carrara:policy/types@1.0.0" (instance)) (export "x" (instance 0)))"#,
        r#"(component (import "carrara:policy/host@1.0.0" (instance $h))
            (instance $i) (export "carrara:policy/configuration@1.0.0" (instance $i))
            (export "carrara:policy/role-authorizer@1.0.0" (instance $i)))"#,
        r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#,
        r#"(component (component (component (core module (func (result i32) i32.const 1) (export "f" (func 0))))))"#,
        r#"(component (core module $m (memory 1) (data "x") (func (export "f") (param i32) (result i32) local.get 0))
            (core instance $i (instantiate $m))
            (func $f (param "x" u32) (result u32) (canon lift (core func $i "f")))
            (instance $c (export "check" (func $f)))
            (export "carrara:policy/configuration@1.0.0" (instance $c)))"#,
    ];
    texts.iter().map(|text| wat::parse_str(text).expect("it is WebAssembly")).collect()
}

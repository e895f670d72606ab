//! Tells the feature `builtin` where `cargo xtask guests` has put the built-in policies.

use std::path::Path;

const PLUGINS: [&str; 4] = ["manifest-rules", "rbac", "go-template", "liquid"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_BUILTIN").is_none() {
        return;
    }
    let code = if std::env::var_os("CARGO_FEATURE_ENCLAVE").is_some() { ".enclave.cwasm" } else { ".cwasm" };
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let guests = Path::new(&here).join("../../target/guests");
    for plugin in PLUGINS {
        for ending in [".wasm", code] {
            let file = guests.join(format!("{plugin}{ending}"));
            println!("cargo::rerun-if-changed={}", file.display());
            if !file.is_file() {
                let option = if code == ".cwasm" { "" } else { " --enclave" };
                println!(
                    "cargo::error=the built-in policies are missing: run 'cargo xtask guests{option}' first"
                );
                return;
            }
        }
    }
    println!("cargo::rustc-env=CARRARA_GUESTS={}", guests.display());
    println!("cargo::rustc-env=CARRARA_GUEST_CODE={code}");
}

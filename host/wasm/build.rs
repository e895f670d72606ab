//! Tells the feature `builtin` where `cargo xtask guests` has put the built-in policies.

use std::path::Path;

const PLUGINS: [&str; 4] = ["manifest-rules", "rbac", "go-template", "liquid"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_BUILTIN").is_none() {
        return;
    }
    let has = |feature: &str| std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let (code, option) = match (has("INTERPRETED"), has("ENCLAVE")) {
        (true, _) => (".interpreted.cwasm", " --interpreted"),
        (false, true) => (".enclave.cwasm", " --enclave"),
        (false, false) => (".cwasm", ""),
    };
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let guests = Path::new(&here).join("../../target/guests");
    for plugin in PLUGINS {
        for ending in [".wasm", code] {
            let file = guests.join(format!("{plugin}{ending}"));
            println!("cargo::rerun-if-changed={}", file.display());
            if !file.is_file() {
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

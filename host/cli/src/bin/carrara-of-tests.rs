//! `carrara` for tests: what it accepts is certified by the root (DER) in the file that `CARRARA_TEST_ROOT` names, instead of
//! Intel's. All else is the same code. Built with the feature `testing` only.
#![allow(clippy::unwrap_used)] // Tests stop where there is no root.

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let path = std::env::var_os("CARRARA_TEST_ROOT").unwrap();
    carrara_cli::main_with_root(std::fs::read(path).unwrap()).await
}

//! The package in `wit/` is the one that was agreed on: names and worlds included, which `interfaces.txt` does not show.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use wit_component::WitPrinter;
use wit_parser::Resolve;

// P-2
#[test]
fn the_package_is_the_one_that_was_agreed_on() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(here.join("../../wit")).unwrap();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&resolve, package, &[]).unwrap();
    let found = printer.output.to_string();
    let golden = here.join("tests/golden.wit");
    if std::env::var_os("CARRARA_WRITE_GOLDENS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(found == expected, "wit/ has changed: wit/README.md says what that means\n{found}");
}

//! The package in `wit/` is the one that was agreed on: names and worlds included, which `interfaces.txt` does not show.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use wit_component::WitPrinter;
use wit_parser::{Docs, Function, PackageId, Resolve, Stability, TypeDef, TypeDefKind, WorldItem};

fn package() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap();
    (resolve, package)
}

// P-2
#[test]
fn the_package_is_the_one_that_was_agreed_on() {
    let (resolve, package) = package();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&resolve, package, &[]).unwrap();
    let found = printer.output.to_string();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.wit");
    if std::env::var_os("CARRARA_WRITE_GOLDENS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(found == expected, "wit/ has changed: wit/README.md says what that means\n{found}");
}

/// Collects what is not described, or does not say since when it is there.
#[derive(Default)]
struct Review {
    items: usize,
    missing: Vec<String>,
}

impl Review {
    fn described(&mut self, name: &str, docs: &Docs) {
        self.items += 1;
        if docs.contents.as_ref().is_none_or(|text| text.trim().is_empty()) {
            self.missing.push(format!("{name} has no comment"));
        }
    }

    fn since(&mut self, name: &str, stability: &Stability) {
        match stability {
            Stability::Stable { since, deprecated: None } if since.major == 1 => {}
            other => self.missing.push(format!("{name} does not say @since: {other:?}")),
        }
    }

    fn function(&mut self, name: &str, function: &Function) {
        self.described(name, &function.docs);
        self.since(name, &function.stability);
        // Parameters have no comment of their own: the function's names them.
        let text = function.docs.contents.as_deref().unwrap_or_default();
        for parameter in function.params.iter().filter(|parameter| parameter.name != "self") {
            if !text.contains(&format!("`{}`:", parameter.name)) {
                self.missing.push(format!("{name} does not describe `{}`", parameter.name));
            }
        }
    }

    fn type_definition(&mut self, name: &str, ty: &TypeDef) {
        self.since(name, &ty.stability);
        // What an interface uses of another one is described there.
        if matches!(ty.kind, TypeDefKind::Type(_)) {
            return;
        }
        self.described(name, &ty.docs);
        let of = |item: &str| format!("{name}.{item}");
        match &ty.kind {
            TypeDefKind::Record(record) => {
                record.fields.iter().for_each(|field| self.described(&of(&field.name), &field.docs));
            }
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().for_each(|case| self.described(&of(&case.name), &case.docs));
            }
            TypeDefKind::Enum(cases) => {
                cases.cases.iter().for_each(|case| self.described(&of(&case.name), &case.docs));
            }
            TypeDefKind::Resource => {}
            other => {
                self.missing.push(format!("{name} is a {}, of which nothing is known here", other.as_str()))
            }
        }
    }
}

// P-2
#[test]
fn every_item_is_described_and_says_since_which_version_it_is_there() {
    let (resolve, package) = package();
    let mut review = Review::default();
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        review.described(name, &interface.docs);
        review.since(name, &interface.stability);
        for (item, ty) in &interface.types {
            review.type_definition(&format!("{name}/{item}"), &resolve.types[*ty]);
        }
        for (item, function) in &interface.functions {
            review.function(&format!("{name}/{item}"), function);
        }
    }
    for (name, id) in &resolve.packages[package].worlds {
        let world = &resolve.worlds[*id];
        review.described(name, &world.docs);
        review.since(name, &world.stability);
        for item in world.imports.values().chain(world.exports.values()) {
            if let WorldItem::Interface { stability, .. } = item {
                review.since(name, stability);
            }
        }
    }
    assert_eq!(review.missing, Vec::<String>::new());
    assert!(review.items > 100, "{} items were looked at", review.items);
}

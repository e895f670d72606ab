use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use super::*;
use crate::inspect::Surface;
use crate::world::World;

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// A component that imports and exports everything that a world has.
fn whole(world: World) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).unwrap();
    let world = resolve.select_world(&[package], Some(world.name())).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

// P-2
#[test]
fn the_file_of_shapes_says_what_the_interfaces_are() {
    let mut all = BTreeMap::new();
    for world in World::ALL {
        let surface = Surface::parse(&whole(world)).unwrap();
        for (name, shape) in surface.shapes() {
            let interface = name.trim_start_matches("carrara:policy/").trim_end_matches("@1.0.0").to_owned();
            all.insert(interface.clone(), text(&interface, shape));
        }
    }
    let expected: String = all.into_values().collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("interfaces.txt");
    if std::env::var_os("CARRARA_WRITE_GOLDENS").is_some() {
        std::fs::write(&file, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "wit/ has changed: components that were built before do not fit any more. If that is meant, write the file with \
         CARRARA_WRITE_GOLDENS=1"
    );
    assert_eq!(offered("role-authorizer").len(), 1);
    assert!(offered("role-authorizer")["authorize"].contains(&"request.action: string".to_owned()));
}

#[test]
fn a_difference_names_the_item() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let offered = lines("a: string\nb: u32");
    assert_eq!(difference(&offered, &offered), None);
    assert_eq!(difference(&offered, &lines("a: string")).unwrap(), "it lacks `b: u32`");
    assert!(difference(&offered, &lines("a: string\nb: u32\nc: u8")).unwrap().contains("`c: u8`"));
    let changed = difference(&offered, &lines("a: string\nb: u64")).unwrap();
    assert!(changed.contains("`b: u64`") && changed.contains("`b: u32`"), "{changed}");
    assert!(difference(&offered, &lines("b: u32\na: string")).unwrap().contains("order"));
}

/// A component that imports the log with one function, which has this parameter; `types` come before it.
fn importing(types: &str, parameter: &str) -> Vec<u8> {
    let instance = format!(r#"{types} (export "f" (func (param "a" {parameter})))"#);
    wat::parse_str(format!(r#"(component (import "carrara:policy/host@1.0.0" (instance {instance})))"#))
        .unwrap()
}

/// What is refused, and the error's text.
fn refused(component: &[u8]) -> Option<String> {
    match Surface::parse(component) {
        Ok(_) => None,
        Err(error @ LoadError::InterfacesTooLarge { .. }) => Some(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_line_has_a_longest_length() {
    let enumeration = |bytes: usize| {
        let name = "n".repeat(bytes);
        let types = format!(r#"(type $i (enum "{name}")) (export "e" (type $e (eq $i)))"#);
        importing(&types, "$e")
    };
    let most = MAX_LINE_BYTES - "a: case ".len();
    assert_eq!(refused(&enumeration(most)), None);
    let text = refused(&enumeration(most + 1)).unwrap();
    assert!(text.contains("more than 1024 bytes in one line"), "{text}");
}

#[test]
fn names_that_repeat_those_above_them_are_refused_before_they_are_written() {
    let name = "n".repeat(90_000);
    let mut types = format!(r#"(type $i0 (record (field "{name}" u8))) (export "e0" (type $e0 (eq $i0)))"#);
    for level in 1..10 {
        let below = level - 1;
        types.push_str(&format!(
            r#"(type $i{level} (record (field "a-{name}" $e{below}) (field "b-{name}" $e{below})))
            (export "e{level}" (type $e{level} (eq $i{level})))"#
        ));
    }
    let component = importing(&types, "$e9");
    assert!(refused(&component).unwrap().contains("in one line"));
}

#[test]
fn all_interfaces_share_their_lines_and_their_bytes() {
    let refusal = |room: &mut Room, bytes: usize, count: usize| {
        (0..count).find_map(|_| room.take(bytes).err()).map(|error| error.to_string())
    };
    let mut room = Room::default();
    assert_eq!(refusal(&mut room, 0, MAX_LINES), None);
    assert!(refusal(&mut room, 0, 1).unwrap().contains("4096 lines"));
    let mut room = Room::default();
    assert_eq!(refusal(&mut room, MAX_LINE_BYTES, MAX_BYTES / MAX_LINE_BYTES), None);
    assert!(refusal(&mut room, 1, 1).unwrap().contains("1048576 bytes"));
    // Each function is a line, and so is its parameter.
    let many = |patches: usize, functions: usize| {
        let functions: String =
            (0..functions).map(|name| format!(r#"(export "f{name}" (func (param "a" u8)))"#)).collect();
        let interfaces: String = (0..patches)
            .map(|patch| format!(r#"(import "carrara:policy/types@1.0.{patch}" (instance {functions}))"#))
            .collect();
        wat::parse_str(format!("(component {interfaces})")).unwrap()
    };
    assert_eq!(refused(&many(8, MAX_LINES / 16)), None);
    assert!(refused(&many(8, MAX_LINES / 16 + 1)).unwrap().contains("4096 lines"));
}

#[test]
fn a_forbidden_import_is_refused_before_its_types_are_looked_at() {
    let name = "n".repeat(2 * MAX_LINE_BYTES);
    let importing = |interface: &str| {
        wat::parse_str(format!(r#"(component (import "{interface}" (instance (export "{name}" (func)))))"#))
            .unwrap()
    };
    assert!(refused(&importing("carrara:policy/host@1.0.0")).is_some());
    assert!(matches!(
        Surface::parse(&importing("wasi:cli/environment@0.2.0")),
        Err(LoadError::ForbiddenImport(_))
    ));
}

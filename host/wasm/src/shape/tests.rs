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

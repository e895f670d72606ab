//! What is mutated: the built-in policies, and the small guests of this folder with the preludes of their worlds.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, ensure};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// The built-in policies, the smaller ones first; made by `cargo xtask guests`.
pub(crate) const BUILT_IN: [&str; 4] = ["rbac", "go-template", "manifest-rules", "liquid"];

/// The preludes with their worlds, and the guest that does no harm.
const WORLDS: [(&str, &str, &str); 4] = [
    ("authorizer", "role-authorization", "(func $misbehave (result i32) (i32.const 2048))"),
    ("admitter", "marble-admission", "(func $misbehave (result i32) (i32.const 2048))"),
    ("validator", "manifest-validation", "(func $misbehave (result i32) (i32.const 2048))"),
    ("renderer", "secret-rendering", "(func $misbehave (param i32))"),
];

/// A valid component, and where its first core module is.
pub(crate) struct Guest {
    pub(crate) component: Vec<u8>,
    pub(crate) module: Range<usize>,
}

/// A world of `wit/`, with a module that has what the world demands and does nothing.
pub(crate) struct World {
    pub(crate) resolve: Resolve,
    pub(crate) id: WorldId,
    pub(crate) shape: Vec<u8>,
}

/// All that components are made from.
pub(crate) struct Guests {
    pub(crate) small: Vec<Guest>,
    pub(crate) built_in: Vec<Guest>,
    pub(crate) worlds: Vec<World>,
}

impl Guests {
    /// All of them.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut guests = Self::small_ones(root)?;
        for name in BUILT_IN {
            let file = root.join(format!("target/guests/{name}.wasm"));
            let component = fs::read(&file)
                .with_context(|| format!("reading {}: `cargo xtask guests` makes it", file.display()))?;
            guests.built_in.push(Guest::new(component)?);
        }
        Ok(guests)
    }

    /// Without the built-in policies.
    pub(crate) fn small_ones(root: &Path) -> anyhow::Result<Self> {
        let (mut worlds, mut small) = (Vec::new(), Vec::new());
        let texts = texts(&root.join("tests/hostile"))?;
        for (prelude, name, harmless) in WORLDS {
            let world = World::new(&root.join("wit"), name)?;
            let head = texts.iter().find(|(file, _)| *file == format!("{prelude}.prelude.wat"));
            let (_, head) = head.with_context(|| format!("there is no prelude {prelude}"))?;
            let is_of_world = |file: &str| {
                !file.contains("prelude") && file.starts_with("render-") == (prelude == "renderer")
            };
            let bodies = texts.iter().filter(|(file, _)| is_of_world(file)).map(|(_, text)| text.as_str());
            for body in bodies.chain([harmless]) {
                // Texts for authorizers have a function of the same shape as those for validators and admitters; what they
                // make of the world's words may be nonsense, which is as good here.
                let module = wat::parse_str(format!("(module {head}{body})"));
                if let Ok(module) = module {
                    small.push(Guest::new(world.component(module)?)?);
                }
            }
            worlds.push(world);
        }
        Ok(Self { small, built_in: Vec::new(), worlds })
    }
}

/// The texts of a folder by their names, sorted.
fn texts(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            texts.push((name, fs::read_to_string(&path)?));
        }
    }
    texts.sort();
    Ok(texts)
}

impl World {
    fn new(wit: &Path, name: &str) -> anyhow::Result<Self> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(wit)?;
        let id = resolve.select_world(&[package], Some(name))?;
        let mut shape = dummy_module(&resolve, id, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
        enlarge(&mut shape)?;
        Ok(Self { resolve, id, shape })
    }

    /// Behind this world. What is wrong with it is for the coordinator to find.
    pub(crate) fn component(&self, mut module: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        embed_component_metadata(&mut module, &self.resolve, self.id, StringEncoding::UTF8, false)?;
        ComponentEncoder::default().validate(false).module(&module)?.encode()
    }
}

/// The module that does nothing has a memory without a page: with two, what modules of this shape do can go well.
fn enlarge(shape: &mut [u8]) -> anyhow::Result<()> {
    let memory = Parser::new(0).parse_all(shape).find_map(|payload| match payload {
        Ok(Payload::MemorySection(memories)) => Some(memories.range()),
        _ => None,
    });
    let pages = usize::try_from(memory.context("it has no memory")?.end)? - 1;
    ensure!(shape[pages] == 0, "its memory has a page");
    shape[pages] = 2;
    Ok(())
}

impl Guest {
    fn new(component: Vec<u8>) -> anyhow::Result<Self> {
        let module = Parser::new(0).parse_all(&component).find_map(|payload| match payload {
            Ok(Payload::ModuleSection { unchecked_range, .. }) => Some(unchecked_range),
            _ => None,
        });
        let module = module.context("it has no core module")?;
        let module = usize::try_from(module.start)?..usize::try_from(module.end)?;
        Ok(Self { component, module })
    }

    /// The same component around another module.
    pub(crate) fn around(&self, module: &[u8]) -> Vec<u8> {
        // The section's number and its length, which stands before the module, are written anew.
        let length = leb(self.module.len()).len();
        let before = self.module.start - length - 1;
        let mut component = self.component[..=before].to_vec();
        component.extend(leb(module.len()));
        component.extend(module);
        component.extend(&self.component[self.module.end..]);
        component
    }
}

/// LEB128, as short as can be: so do the tools that made the guests.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_module_gives_the_same_component() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
        let guests = Guests::small_ones(root).unwrap();
        assert!(guests.small.len() >= 30, "{}", guests.small.len());
        for guest in &guests.small {
            assert_eq!(guest.around(&guest.component[guest.module.clone()]), guest.component);
        }
    }
}

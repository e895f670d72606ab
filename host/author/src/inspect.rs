//! Looks at a component without running it: what it is named by, what it may ask of its host, what it answers, what made it
//! and what memory it declares.
//!
//! Everything is read from the bytes; nothing is believed that the component says of itself, but for the names of its makers.

use carrara_types::policy::Digest;
use carrara_wasm::{LoadError, Surface, World, limits};
use serde::Serialize;
use wasmparser::{Encoding, KnownCustom, Parser, Payload, ProducersSectionReader};
use wit_component::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

/// What a component shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// What a manifest names it by.
    pub digest: Digest,
    /// Bytes.
    pub size: usize,
    /// The worlds that it can answer for.
    pub worlds: Vec<World>,
    /// What it asks of its host: its real capabilities.
    pub imports: Vec<Interface>,
    /// What it offers.
    pub exports: Vec<Interface>,
    /// Languages and tools that its makers have written into it: `language: Rust 1.95.0`.
    pub producers: Vec<String>,
    /// Core modules, in order.
    pub modules: Vec<Module>,
    /// Sections that no engine reads.
    pub custom_sections: Vec<CustomSection>,
}

/// An interface on a component's surface, or a bare function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// With its version.
    pub name: String,
    /// What of it is used or offered; an interface of words has none.
    pub functions: Vec<String>,
}

/// A core module of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Module {
    /// Bytes.
    pub size: usize,
    /// Functions with a body.
    pub functions: usize,
    /// Bytes of the largest function.
    pub largest_function: usize,
    /// Linear memories that it declares: bytes at the start, and the most that it may have.
    pub memories: Vec<Range>,
    /// Tables that it declares: elements at the start, and the most that it may have.
    pub tables: Vec<Range>,
}

/// From what is there at the start to the declared maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// At the start.
    pub initial: u64,
    /// The most; none where it is not bounded by the component.
    pub maximum: Option<u64>,
}

/// A custom section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CustomSection {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: usize,
}

/// Why bytes show nothing.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// No component, or too large.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The types on its surface cannot be read.
    #[error("reading the component's types: {0}")]
    Types(String),
}

/// Reads a component. One with imports that no policy may have is shown, too: see [`Surface::read`] for the refusal.
///
/// # Errors
/// [`InspectError`] if the bytes are no component.
pub fn inspect(component: &[u8]) -> Result<Inspection, InspectError> {
    if component.len() > limits::MAX_COMPONENT_BYTES {
        let (bytes, limit) = (component.len(), limits::MAX_COMPONENT_BYTES);
        return Err(LoadError::TooLarge { bytes, limit }.into());
    }
    // Refuses what is no component with the loader's own words.
    let worlds = match Surface::read(component) {
        Ok(surface) => surface.worlds(),
        Err(LoadError::ForbiddenImport(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let decoded = decode(component).map_err(|error| InspectError::Types(format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else { return Err(LoadError::CoreModule.into()) };
    let mut inspection = Inspection {
        digest: Digest(carrara_wasm::digest(component)),
        size: component.len(),
        worlds,
        imports: interfaces(&resolve, world, Side::Imports),
        exports: interfaces(&resolve, world, Side::Exports),
        producers: Vec::new(),
        modules: Vec::new(),
        custom_sections: Vec::new(),
    };
    inspection.read_sections(component).map_err(|error| InspectError::Types(error.to_string()))?;
    inspection.producers.sort();
    inspection.producers.dedup();
    Ok(inspection)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Imports,
    Exports,
}

fn interfaces(resolve: &Resolve, world: WorldId, side: Side) -> Vec<Interface> {
    let Some(world) = resolve.worlds.get(world) else { return Vec::new() };
    let items = if side == Side::Imports { &world.imports } else { &world.exports };
    let interface = |(key, item): (&WorldKey, &WorldItem)| match item {
        WorldItem::Interface { id, .. } => {
            let functions =
                resolve.interfaces.get(*id).map(|found| found.functions.keys().cloned().collect());
            Some(Interface { name: resolve.name_world_key(key), functions: functions.unwrap_or_default() })
        }
        WorldItem::Function(function) => {
            Some(Interface { name: function.name.clone(), functions: vec![function.name.clone()] })
        }
        WorldItem::Type { .. } => None,
    };
    items.iter().filter_map(interface).collect()
}

impl Inspection {
    fn read_sections(&mut self, component: &[u8]) -> wasmparser::Result<()> {
        // Whether each part that is open is a core module.
        let mut open: Vec<bool> = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { encoding, .. } => open.push(encoding == Encoding::Module),
                Payload::ModuleSection { unchecked_range, .. } => {
                    self.modules.push(Module { size: unchecked_range.len(), ..Module::default() });
                }
                Payload::End(_) => drop(open.pop()),
                Payload::CustomSection(section) => {
                    let (name, size) = (section.name().to_owned(), section.data().len());
                    if let KnownCustom::Producers(producers) = section.as_known() {
                        self.read_producers(producers)?;
                    }
                    self.custom_sections.push(CustomSection { name, size });
                }
                payload => {
                    if open.last() == Some(&true)
                        && let Some(module) = self.modules.last_mut()
                    {
                        module.read(payload)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_producers(&mut self, section: ProducersSectionReader<'_>) -> wasmparser::Result<()> {
        for field in section {
            let field = field?;
            for value in field.values {
                let value = value?;
                let text = format!("{}: {} {}", field.name, value.name, value.version);
                self.producers.push(text.trim_end().to_owned());
            }
        }
        Ok(())
    }
}

/// Bytes of a page of linear memory, where the memory does not say otherwise.
const PAGE_SHIFT: u32 = 16;

impl Module {
    fn read(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    let shift = memory.page_size_log2.unwrap_or(PAGE_SHIFT).min(PAGE_SHIFT);
                    let bytes = |pages: u64| pages.saturating_mul(1 << shift);
                    self.memories
                        .push(Range { initial: bytes(memory.initial), maximum: memory.maximum.map(bytes) });
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?.ty;
                    self.tables.push(Range { initial: table.initial, maximum: table.maximum });
                }
            }
            Payload::CodeSectionEntry(body) => {
                self.functions += 1;
                self.largest_function = self.largest_function.max(body.range().len());
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An authorizer on its surface, with a module of its own kind.
    const AUTHORIZER: &str = r#"(component
        (import "carrara:policy/host@1.0.0" (instance
            (type $level-is (enum "debug" "info" "warn")) (export "level" (type $level (eq $level-is)))
            (export "log" (func (param "level" $level) (param "message" string)))))
        (core module (memory 2 16) (table 3 funcref) (func nop nop) (func))
        (component $empty)
        (instance $i (instantiate $empty))
        (export "carrara:policy/configuration@1.0.0" (instance $i))
        (export "carrara:policy/role-authorizer@1.0.0" (instance $i))
        (@custom "note" "12345")
    )"#;

    #[test]
    fn a_component_shows_its_capabilities_its_worlds_and_its_memory() {
        let component = wat::parse_str(AUTHORIZER).unwrap();
        let shown = inspect(&component).unwrap();
        assert_eq!(shown.digest, Digest(carrara_wasm::digest(&component)));
        assert_eq!(shown.size, component.len());
        assert_eq!(shown.worlds, [], "the interfaces' names without their functions are no world");
        let log =
            Interface { name: "carrara:policy/host@1.0.0".to_owned(), functions: vec!["log".to_owned()] };
        assert_eq!(shown.imports, [log]);
        assert_eq!(shown.exports.len(), 2);
        let [module] = &shown.modules[..] else { panic!("{:?}", shown.modules) };
        assert_eq!(module.memories, [Range { initial: 2 << 16, maximum: Some(16 << 16) }]);
        assert_eq!(module.tables, [Range { initial: 3, maximum: None }]);
        assert_eq!((module.functions, module.size > 20, module.largest_function > 2), (2, true, true));
        assert!(shown.custom_sections.contains(&CustomSection { name: "note".to_owned(), size: 5 }));
    }

    #[test]
    fn a_component_with_a_forbidden_import_is_shown_and_fits_no_world() {
        let text = AUTHORIZER.replace(
            "(component\n",
            "(component (import \"wasi:cli/exit@0.2.0\" (instance (export \"exit\" (func))))\n",
        );
        let shown = inspect(&wat::parse_str(text).unwrap()).unwrap();
        assert!(shown.worlds.is_empty());
        assert!(shown.imports.iter().any(|import| import.functions == ["exit"]), "{:?}", shown.imports);
    }

    #[test]
    fn what_is_no_component_is_refused_with_the_loaders_words() {
        let module = wat::parse_str("(module)").unwrap();
        let error = inspect(&module).unwrap_err().to_string();
        assert!(error.contains("core module"), "{error}");
        assert!(inspect(b"text").unwrap_err().to_string().contains("not a WebAssembly component"));
    }
}

//! Looks at a component without compiling it: what it imports and exports, and whether compiling it is bounded.

use std::collections::BTreeMap;

use wasmparser::types::Types;
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use crate::bounds::{Bounds, Taken};
use crate::limits::MAX_COMPONENT_BYTES;
use crate::loader::{LoadError, malformed};
use crate::shape::{Room, Shape, difference, offered, shape};
use crate::text::clean;
use crate::world::{VERSION, World};

/// The package of all interfaces.
const PACKAGE: &str = "carrara:policy";

/// How everything in WebAssembly begins. The parser's own word for anything else is a dump of bytes.
const MAGIC: &[u8] = b"\0asm";

/// Names that an error repeats are cut here.
const SHOWN_NAME_BYTES: usize = 128;

/// The names on a component's surface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surface {
    /// What it asks of its host.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
    /// How far it takes the limits that keep compiling it bounded.
    pub taken: Vec<Taken>,
    /// About how many bytes compiling it takes in an enclave; elsewhere it is less.
    pub footprint: u64,
    /// The functions of each import.
    wanted: BTreeMap<String, Shape>,
    /// The functions of each export.
    offered: BTreeMap<String, Shape>,
}

impl Surface {
    /// Reads a component's surface and refuses what cannot be a policy or would be costly to compile.
    ///
    /// # Errors
    /// [`LoadError`] for what is too large, is no component or imports what no policy may.
    pub fn read(component: &[u8]) -> Result<Self, LoadError> {
        if component.len() > MAX_COMPONENT_BYTES {
            return Err(LoadError::TooLarge { bytes: component.len(), limit: MAX_COMPONENT_BYTES });
        }
        if !component.starts_with(MAGIC) {
            let why = "it does not begin as WebAssembly does (\\0asm), so it is a file of another kind";
            return Err(LoadError::Malformed(why.to_owned()));
        }
        let surface = Self::parse(component)?;
        // What is imported grows by functions: each must be one of ours.
        for (name, wanted) in &surface.wanted {
            let ours = offered(interface_of(name));
            for (function, lines) in wanted {
                compare(name, function, ours.get(function), Some(lines))?;
            }
        }
        Ok(surface)
    }

    /// All interfaces with the shapes of their functions.
    #[cfg(test)]
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&String, &Shape)> {
        self.wanted.iter().chain(&self.offered).filter(|(_, shape)| !shape.is_empty())
    }

    /// The worlds whose interfaces the component exports.
    #[must_use]
    pub fn worlds(&self) -> Vec<World> {
        World::ALL.into_iter().filter(|world| self.fits(*world).is_ok()).collect()
    }

    /// The same, and at least one.
    ///
    /// # Errors
    /// Why it fits no world: for the world that it comes nearest to.
    pub fn some_world(&self) -> Result<Vec<World>, LoadError> {
        let worlds = self.worlds();
        if !worlds.is_empty() {
            return Ok(worlds);
        }
        let named = |world: &World| {
            let wanted = format!("{PACKAGE}/{}", world.interface());
            self.exports.iter().any(|export| split(export).0 == wanted)
        };
        match World::ALL.into_iter().find(named).map(|world| self.fits(world)) {
            Some(Err(error)) => Err(error),
            _ => Err(LoadError::NoWorld),
        }
    }

    /// Whether the component exports what the world needs, function by function, and imports nothing that it lacks.
    ///
    /// # Errors
    /// [`LoadError`] for the first interface or function that is not there or differs.
    pub fn fits(&self, world: World) -> Result<(), LoadError> {
        ["configuration", world.interface()]
            .into_iter()
            .try_for_each(|interface| self.offers(interface, world))?;
        let secrets = self.imports.iter().find(|import| interface_of(import) == "secrets");
        if let Some(import) = secrets.filter(|_| world != World::SecretRendering) {
            return Err(LoadError::NoSecrets {
                import: clean(import, SHOWN_NAME_BYTES),
                world: world.name(),
            });
        }
        Ok(())
    }

    /// Whether compiling it takes no more memory than so many bytes, as far as can be told.
    ///
    /// # Errors
    /// [`LoadError::TooMuchMemoryToCompile`].
    pub fn compiles_within(&self, bytes: u64) -> Result<(), LoadError> {
        let mebibytes = self.footprint.div_ceil(1 << 20);
        if self.footprint > bytes {
            return Err(LoadError::TooMuchMemoryToCompile { mebibytes, limit: bytes >> 20 });
        }
        Ok(())
    }

    fn offers(&self, interface: &str, world: World) -> Result<(), LoadError> {
        let wanted = format!("{PACKAGE}/{interface}");
        let mut other = None;
        for export in &self.exports {
            let (name, version) = split(export);
            if name == wanted {
                if compatible(version) {
                    return self.answers(export, interface);
                }
                other = Some(clean(version, SHOWN_NAME_BYTES));
            }
        }
        match other {
            Some(found) => {
                Err(LoadError::WrongVersion { verb: "exports", interface: wanted, found, offered: VERSION })
            }
            None => {
                Err(LoadError::MissingExport { interface: wanted, offered: VERSION, world: world.name() })
            }
        }
    }

    /// Whether an export has all functions that this host calls, as it calls them.
    fn answers(&self, export: &str, interface: &str) -> Result<(), LoadError> {
        let found = self.offered.get(export);
        for (function, lines) in &offered(interface) {
            let theirs = found.and_then(|shape| shape.get(function));
            compare(export, function, Some(lines), theirs)?;
        }
        Ok(())
    }

    /// The surface, if it imports nothing that no policy may: only then types are looked at.
    pub(crate) fn parse(component: &[u8]) -> Result<Self, LoadError> {
        let (mut surface, mut depth, mut bounds) = (Self::default(), 0_usize, Bounds::of(component.len()));
        // A few bytes of garbage collection are thousands of stores, and no language of policies needs it.
        let features = WasmFeatures::all().difference(WasmFeatures::GC);
        let mut validator = Validator::new_with_features(features);
        let mut types = None;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(malformed)?;
            // Types only: bodies of functions are validated when they are compiled.
            if let ValidPayload::End(found) = validator.payload(&payload).map_err(malformed)? {
                types = Some(found);
            }
            bounds.take(&payload)?;
            match payload {
                Payload::Version { encoding, .. } => {
                    if depth == 0 && encoding != Encoding::Component {
                        return Err(LoadError::CoreModule);
                    }
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        surface.imports.push(import.map_err(malformed)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        let export = export.map_err(malformed)?;
                        if export.kind == ComponentExternalKind::Instance {
                            surface.exports.push(export.name.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        surface.taken = bounds.taken();
        surface.footprint = bounds.footprint();
        surface.imports.iter().try_for_each(|import| allowed(import))?;
        if let Some(types) = types {
            surface.read_shapes(&types)?;
        }
        Ok(surface)
    }

    /// All of them share their room; what this host does not call takes none.
    fn read_shapes(&mut self, types: &Types) -> Result<(), LoadError> {
        let (types, mut room) = (types.as_ref(), Room::default());
        for name in &self.imports {
            if let Some(item) = types.component_item_for_import(name) {
                self.wanted.insert(name.clone(), shape(types, &item.ty, &mut room)?);
            }
        }
        for name in self.exports.iter().filter(|name| called(name)) {
            if let Some(item) = types.component_item_for_export(name) {
                self.offered.insert(name.clone(), shape(types, &item.ty, &mut room)?);
            }
        }
        Ok(())
    }
}

/// Whether this host calls functions of an exported interface.
fn called(export: &str) -> bool {
    let interface = interface_of(export);
    let known = interface == "configuration" || World::ALL.iter().any(|world| world.interface() == interface);
    known && compatible(split(export).1)
}

/// A policy may import the words, the log and the secrets' handles of this package's version 1, nothing else.
fn allowed(import: &str) -> Result<(), LoadError> {
    let known = matches!(interface_of(import), "types" | "host" | "secrets");
    let (name, version) = split(import);
    if known && compatible(version) {
        return Ok(());
    }
    let (name, found) = (clean(name, SHOWN_NAME_BYTES), clean(version, SHOWN_NAME_BYTES));
    if known && !found.is_empty() {
        return Err(LoadError::WrongVersion { verb: "imports", interface: name, found, offered: VERSION });
    }
    Err(LoadError::ForbiddenImport(clean(import, SHOWN_NAME_BYTES)))
}

/// The name of an interface of this package, without the package and version; empty for others.
fn interface_of(name: &str) -> &str {
    split(name).0.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default()
}

/// Whether a function is the same on both sides.
fn compare(
    interface: &str,
    function: &str,
    ours: Option<&Vec<String>>,
    theirs: Option<&Vec<String>>,
) -> Result<(), LoadError> {
    let (interface, function) = (clean(interface, SHOWN_NAME_BYTES), clean(function, SHOWN_NAME_BYTES));
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => match difference(ours, theirs) {
            None => Ok(()),
            Some(difference) => {
                let difference = clean(&difference, 4 * SHOWN_NAME_BYTES);
                Err(LoadError::OtherFunction { interface, function, offered: VERSION, difference })
            }
        },
        (None, _) => Err(LoadError::UnknownFunction { interface, function, offered: VERSION }),
        (Some(_), None) => Err(LoadError::MissingFunction { interface, function, offered: VERSION }),
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// Version 1 grows by functions only: any 1.x may fit, and a function that is missing here is found when it is linked.
fn compatible(version: &str) -> bool {
    let major = |version: &str| version.split_once('.').map(|(major, _)| major.to_owned());
    !version.contains('-') && major(version) == major(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_FUNCTION_BYTES;

    #[test]
    fn only_the_three_interfaces_of_version_1_may_be_imported() {
        for import in
            ["carrara:policy/types@1.0.0", "carrara:policy/host@1.7.2", "carrara:policy/secrets@1.0.0"]
        {
            assert!(allowed(import).is_ok(), "{import}");
        }
        for import in [
            "carrara:policy/host@2.0.0",
            "carrara:policy/host@0.1.0",
            "carrara:policy/host@10.0.0",
            "carrara:policy/host@1.0.0-rc",
            "carrara:policy/host",
            "carrara:policy/hosts@1.0.0",
            "carrara:policyhost@1.0.0",
            "wasi:cli/environment@0.2.0",
            "env",
        ] {
            assert!(allowed(import).is_err(), "{import}");
        }
    }

    #[test]
    fn what_is_no_component_is_refused() {
        assert!(matches!(Surface::read(b"(component)"), Err(LoadError::Malformed(_))));
        assert!(matches!(Surface::read(b"\0asm\xff\xff\xff\xff"), Err(LoadError::Malformed(_))));
        for garbage in [b"".as_slice(), b"\0as", b"garbage", b"\x7fELF"] {
            let told = Surface::read(garbage).unwrap_err().to_string();
            let expected = "this is not a WebAssembly component: it does not begin as WebAssembly does (\\0asm), so it is a file \
                            of another kind";
            assert_eq!(told, expected);
        }
        assert!(matches!(Surface::read(b"\0asm\x01\0\0\0"), Err(LoadError::CoreModule)));
        let collected = wat::parse_str("(component (core module (type (struct (field i32)))))").unwrap();
        assert!(matches!(Surface::read(&collected), Err(LoadError::Malformed(_))), "no garbage collection");
        let large = vec![0; MAX_COMPONENT_BYTES + 1];
        assert!(matches!(Surface::read(&large), Err(LoadError::TooLarge { .. })));
    }

    #[test]
    fn a_function_with_too_many_locals_is_refused_before_compiling() {
        let component = |count: usize| {
            let locals = "(local i32) ".repeat(count);
            wat::parse_str(format!("(component (core module (func {locals})))")).unwrap()
        };
        assert!(Surface::read(&component(10_000)).is_ok());
        assert!(matches!(
            Surface::read(&component(10_001)),
            Err(LoadError::TooManyLocals { locals: 10_001, .. })
        ));
    }

    #[test]
    fn a_huge_function_is_refused_before_compiling() {
        let component =
            wat::parse_str(format!("(component (core module (func {})))", "nop ".repeat(MAX_FUNCTION_BYTES)));
        assert!(matches!(Surface::read(&component.unwrap()), Err(LoadError::FunctionTooLarge { .. })));
    }

    #[test]
    fn a_missing_and_an_outdated_interface_are_told_apart() {
        let surface = Surface {
            exports: vec!["carrara:policy/manifest-validator@1.0.0".to_owned()],
            ..Surface::default()
        };
        let missing = surface.fits(World::RoleAuthorization).unwrap_err().to_string();
        assert!(
            missing.contains("carrara:policy/configuration@1.0.0") && missing.contains("1.0.0"),
            "{missing}"
        );
        let surface =
            Surface { exports: vec!["carrara:policy/configuration@2.1.0".to_owned()], ..Surface::default() };
        let wrong = surface.fits(World::RoleAuthorization).unwrap_err().to_string();
        assert!(
            wrong.contains("configuration") && wrong.contains("2.1.0") && wrong.contains("1.0.0"),
            "{wrong}"
        );
    }
}

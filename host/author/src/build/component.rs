//! From a core module to a component.

use carrara_wasm::World;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, SourceMap};

use super::BuildError;
use crate::pack;
use crate::project::{Language, Project};

/// A module that stands in for a system interface which a language's runtime wants and no policy has.
#[derive(Debug, Clone, Copy)]
pub struct StubAdapter<'a> {
    /// What the module imports, such as `wasi_snapshot_preview1`.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Makes a component of a core module that says itself which world it is for, as wit-bindgen's do. One that says nothing
/// becomes a component that fits no world.
///
/// # Errors
/// [`BuildError::Componentize`] if it lacks an export of its world.
pub fn component(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    encode(module, None).map_err(|error| BuildError::Componentize(format!("{error:#}")))
}

/// Makes a component of a core module that says nothing of its world.
///
/// # Errors
/// [`BuildError::Componentize`] if it lacks an export of its world.
pub fn component_of_world(
    module: &[u8],
    world: World,
    adapter: Option<StubAdapter<'_>>,
) -> Result<Vec<u8>, BuildError> {
    let failed = |reason: String| BuildError::Componentize(reason);
    let (resolve, package) = interfaces().map_err(failed)?;
    let selected = resolve.select_world(&[package], Some(world.name()));
    let selected = selected.map_err(|error| failed(format!("{error:#}")))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, selected, StringEncoding::UTF8, false)
        .and_then(|()| encode(&module, adapter))
        .map_err(|error| failed(format!("{error:#}")))
}

/// Writes into a component what it was made with, for whoever inspects it: nobody depends on it.
pub(super) fn named(project: &Project, component: &[u8]) -> Result<Vec<u8>, BuildError> {
    let language = match project.language {
        Language::Rust => "Rust",
        Language::Python => "Python",
        Language::JavaScript => "JavaScript",
        Language::Go => "Go",
    };
    let mut producers = wasm_metadata::Producers::empty();
    producers.add("language", language, "");
    producers.add("sdk", "carrara-policy", &project.sdk);
    producers.add("processed-by", "carrara", env!("CARGO_PKG_VERSION"));
    producers.add_to_wasm(component).map_err(|error| BuildError::Componentize(format!("{error:#}")))
}

type EncodeResult<T> = Result<T, anyhow::Error>;

fn encode(module: &[u8], adapter: Option<StubAdapter<'_>>) -> EncodeResult<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(module)?;
    if let Some(StubAdapter { name, text }) = adapter {
        encoder.adapter(name, &wat::parse_str(text)?)?;
    }
    encoder.encode()
}

/// The package of `wit/`, of this build.
fn interfaces() -> Result<(Resolve, PackageId), String> {
    let mut sources = SourceMap::new();
    for file in pack::wit().filter(|file| file.path.ends_with(".wit")) {
        let text = std::str::from_utf8(file.content).map_err(|error| error.to_string())?;
        sources.push_str(file.path, text);
    }
    let group = sources.parse().map_err(|(_, error)| format!("{error:#}"))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| format!("{error:#}"))?;
    Ok((resolve, package))
}

#[cfg(test)]
mod tests {
    use carrara_wasm::Surface;

    use super::*;

    /// An authorizer that allows everything; its runtime wants a clock that it never asks.
    const MODULE: &str = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "carrara:policy/configuration@1.0.0#check") (param i32 i32) (result i32) (i32.const 64))
        (func (export "carrara:policy/role-authorizer@1.0.0#authorize") (param i32) (result i32)
            (drop (call $yield)) (i32.const 64)))"#;

    const ADAPTER: StubAdapter<'_> = StubAdapter {
        name: "wasi_snapshot_preview1",
        text: r#"(module (func (export "sched_yield") (result i32) i32.const 52))"#,
    };

    #[test]
    fn every_world_is_in_the_interfaces_of_this_build() {
        let (resolve, package) = interfaces().unwrap();
        for world in World::ALL {
            assert!(resolve.select_world(&[package], Some(world.name())).is_ok(), "{world}");
        }
    }

    #[test]
    fn a_module_becomes_a_component_without_what_its_adapter_stands_in_for() {
        let module = wat::parse_str(MODULE).unwrap();
        let component = component_of_world(&module, World::RoleAuthorization, Some(ADAPTER)).unwrap();
        let surface = Surface::read(&component).unwrap();
        assert_eq!(surface.worlds(), [World::RoleAuthorization]);
        assert!(surface.imports.iter().all(|import| import.starts_with("carrara:policy/")), "{surface:?}");
    }

    #[test]
    fn what_a_module_lacks_is_named() {
        let module = wat::parse_str(MODULE).unwrap();
        let error = component_of_world(&module, World::MarbleAdmission, Some(ADAPTER)).unwrap_err();
        assert!(error.to_string().contains("marble-admitter"), "{error}");
        let error = component_of_world(&module, World::RoleAuthorization, None).unwrap_err();
        assert!(error.to_string().contains("wasi_snapshot_preview1"), "{error}");
    }
}

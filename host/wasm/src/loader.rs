//! From bytes to a policy that is ready to be called: digest, surface, compiling, linking.

use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};
use wasmparser::BinaryReaderError;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::call::{CallState, Prepared};
use crate::data::joined;
use crate::inspect::Surface;
use crate::text::clean;
use crate::world::{VERSION, World};
use crate::worlds::rendering::SecretDesk;
use crate::worlds::{rendering, words};

/// The engine's explanation of a mismatch, cut here.
const MAX_EXPLANATION_BYTES: usize = 512;

/// Errors of the reader are cut here.
const SHOWN_ERROR_BYTES: usize = 128;

/// Why bytes are no policy of a world. `Display` names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Larger than [`crate::limits::MAX_COMPONENT_BYTES`].
    #[error("the component has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Found.
        bytes: usize,
        /// Allowed.
        limit: usize,
    },
    /// Not WebAssembly.
    #[error("this is not a WebAssembly component: {0}")]
    Malformed(String),
    /// A core module.
    #[error("this is a core module, not a component; make one of it with `wasm-tools component new`")]
    CoreModule,
    /// Too many parts.
    #[error("the component holds more than {0} modules")]
    TooManyModules(usize),
    /// A function that is costly to compile.
    #[error("a function of the component has {bytes} bytes; at most {limit} are allowed")]
    FunctionTooLarge {
        /// Found.
        bytes: usize,
        /// Allowed.
        limit: usize,
    },
    /// A function that is costly to compile.
    #[error("a function of the component has {locals} locals; at most {limit} are allowed")]
    TooManyLocals {
        /// Found.
        locals: u32,
        /// Allowed.
        limit: u32,
    },
    /// Interfaces whose types are costly to look at.
    #[error(
        "the interfaces of the component need more than {limit} {unit} to be written down: it is no policy"
    )]
    InterfacesTooLarge {
        /// What there is too much of.
        unit: &'static str,
        /// Allowed.
        limit: usize,
    },
    /// A function that is costly to compile.
    #[error("a function of the component nests blocks deeper than {0}")]
    BlocksTooDeep(usize),
    /// Values that each call gives.
    #[error("a function or block of the component has more than {0} results")]
    TooManyResults(usize),
    /// Functions whose instructions make compiling long.
    #[error(
        "the functions of the component have too many {what}: what compiling takes grows with the square of the largest \
         function ({limit} for all together are allowed); split the largest functions"
    )]
    TooMuchToCompile {
        /// What there is too much of.
        what: &'static str,
        /// Allowed.
        limit: u64,
    },
    /// Too much to compile.
    #[error("the component has {functions} functions or more; at most {limit} are allowed")]
    TooManyFunctions {
        /// Found so far.
        functions: usize,
        /// Allowed.
        limit: usize,
    },
    /// Too much that instantiating does before any code runs.
    #[error(
        "instantiating the component takes {found} steps or more (data segments, elements of tables, computed globals); at most \
         {limit} are allowed: build it with fewer segments of data, and its data and elements at constant places of memories and \
         tables of its own"
    )]
    TooManyInitializers {
        /// Found so far.
        found: usize,
        /// Allowed.
        limit: usize,
    },
    /// Memories that are costly to prepare.
    #[error("the modules of the component have more than {0} memories")]
    TooManyMemories(usize),
    /// Tables that are costly to prepare.
    #[error("the tables of the component have more than {0} elements at the start")]
    TablesTooLarge(u64),
    /// More memory than the operator lets compiling have.
    #[error(
        "compiling the component takes about {mebibytes} MiB of memory; at most {limit} MiB are allowed here: make it smaller, or \
         raise `compiling-mib` of the coordinator where it has the memory"
    )]
    TooMuchMemoryToCompile {
        /// Estimated.
        mebibytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// Instances of what makes instances, or of a component that is not known before it runs.
    #[error(
        "the component makes more than {0} instances of modules and components, or of a component that it imports"
    )]
    TooManyInstantiations(usize),
    /// A policy has no other authority.
    #[error(
        "the component imports {0}; a policy may import carrara:policy/types, carrara:policy/host and \
         carrara:policy/secrets of version 1 only"
    )]
    ForbiddenImport(String),
    /// An interface of another version.
    #[error(
        "the component {verb} {interface}@{found}, this coordinator offers {offered}: build it against wit/ of \
         carrara:policy@{offered}"
    )]
    WrongVersion {
        /// `imports` or `exports`.
        verb: &'static str,
        /// Without a version.
        interface: String,
        /// The component's version.
        found: String,
        /// The host's version.
        offered: &'static str,
    },
    /// An imported function that this host does not have.
    #[error(
        "the component imports the function {function} of {interface}, which {offered}, the version that this \
         coordinator offers, does not have: build it against wit/ of carrara:policy@{offered}"
    )]
    UnknownFunction {
        /// With the component's version.
        interface: String,
        /// Its name.
        function: String,
        /// The host's version.
        offered: &'static str,
    },
    /// An exported interface without a function that this host calls.
    #[error(
        "the component exports {interface} without the function {function}, which this coordinator calls (it offers \
         {offered}): build it against wit/ of carrara:policy@{offered}"
    )]
    MissingFunction {
        /// With the component's version.
        interface: String,
        /// Its name.
        function: String,
        /// The host's version.
        offered: &'static str,
    },
    /// A function of the right name whose parameters or result differ.
    #[error(
        "the component's function {function} of {interface} differs from that of {offered}, which this coordinator \
         offers: {difference}: build it against wit/ of carrara:policy@{offered}"
    )]
    OtherFunction {
        /// With the component's version.
        interface: String,
        /// Its name.
        function: String,
        /// The host's version.
        offered: &'static str,
        /// Names the item.
        difference: String,
    },
    /// Only renderers have secrets.
    #[error(
        "the component imports {import}, which the world {world} does not have: only secret-rendering has it"
    )]
    NoSecrets {
        /// With its version.
        import: String,
        /// The world.
        world: &'static str,
    },
    /// An interface that is not there.
    #[error("the component does not export {interface}@{offered}, which the world {world} needs")]
    MissingExport {
        /// Without a version.
        interface: String,
        /// The host's version.
        offered: &'static str,
        /// The world.
        world: &'static str,
    },
    /// A component that answers no question.
    #[error(
        "the component exports none of carrara:policy/manifest-validator, role-authorizer, marble-admitter and \
         secret-renderer: it is no policy"
    )]
    NoWorld,
    /// An interface of the right name and version whose content differs.
    #[error("the component does not fit the world {world} of carrara:policy@{VERSION}: {explanation}")]
    Unsuitable {
        /// The world.
        world: &'static str,
        /// Names the interface and the item.
        explanation: String,
    },
    /// The component is valid on the surface and does not compile.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// The system makes no memory executable.
    #[error(
        "policies cannot run: memory cannot be made executable here (a library OS, a seccomp filter, MemoryDenyWriteExecute= of systemd); allow it, or \
         use a coordinator that interprets them, made by `cargo xtask guests --interpreted` and `cargo build --release -p carrara-coordinator --features interpreted`"
    )]
    NotExecutable,
    /// An embedded policy that does not load: the build is broken.
    #[error(
        "the embedded policy {name} does not load; build again after `cargo xtask guests`: {explanation}"
    )]
    Embedded {
        /// Its name.
        name: &'static str,
        /// The engine's words.
        explanation: String,
    },
}

/// A component's bytes, and its code. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Loaded {
    component: Component,
    bytes: Arc<Bytes>,
}

struct Bytes {
    content: std::borrow::Cow<'static, [u8]>,
    digest: OnceLock<[u8; 32]>,
}

impl Loaded {
    /// Inspects and compiles a component that comes from outside. Slow: never on a request's path.
    pub(crate) fn compile(engine: &Engine, world: World, bytes: Vec<u8>) -> Result<Self, LoadError> {
        Surface::read(&bytes)?.fits(world)?;
        Ok(Self::new(compile(engine, &bytes)?, bytes.into()))
    }

    pub(crate) fn new(component: Component, content: std::borrow::Cow<'static, [u8]>) -> Self {
        Self { component, bytes: Arc::new(Bytes { content, digest: OnceLock::new() }) }
    }

    /// The component, for whoever wants to audit it.
    #[must_use]
    pub(crate) fn component_bytes(&self) -> &[u8] {
        &self.bytes.content
    }

    /// SHA-256 of the component: a policy's identity.
    #[must_use]
    pub(crate) fn digest(&self) -> [u8; 32] {
        *self.bytes.digest.get_or_init(|| digest(&self.bytes.content))
    }

    /// The compiled component.
    pub(crate) fn code(&self) -> &Component {
        &self.component
    }
}

/// Compiles a component whose surface was read. Slow: never on a request's path.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let failed = |why: String| LoadError::Compile(clean(&why, MAX_EXPLANATION_BYTES));
    let bytes = joined(bytes).map_err(|error| failed(error.to_string()))?;
    Component::from_binary(engine, &bytes).map_err(|error| failed(format!("{error:#}")))
}

/// Links a component for a world without secrets.
pub(crate) fn link(component: &Component, world: World) -> Result<Prepared<()>, LoadError> {
    let mut linker = Linker::new(component.engine());
    add_common(&mut linker).map_err(|error| unsuitable(world, &error))?;
    linker.instantiate_pre(component).map_err(|error| unsuitable(world, &error))
}

/// Links a component for a renderer.
pub(crate) fn link_renderer(component: &Component) -> Result<Prepared<SecretDesk>, LoadError> {
    let world = World::SecretRendering;
    let mut linker = Linker::new(component.engine());
    add_common(&mut linker).map_err(|error| unsuitable(world, &error))?;
    rendering::wit::add_to_linker::<_, HasSelf<SecretDesk>>(
        &mut linker,
        |state: &mut CallState<SecretDesk>| &mut state.desk,
    )
    .map_err(|error| unsuitable(world, &error))?;
    linker.instantiate_pre(component).map_err(|error| unsuitable(world, &error))
}

/// SHA-256 of a component: what a manifest names it by.
#[must_use]
pub fn digest(component: &[u8]) -> [u8; 32] {
    Sha256::digest(component).into()
}

/// What keeps a component from being read.
pub(crate) fn malformed(error: BinaryReaderError) -> LoadError {
    LoadError::Malformed(clean(&error.to_string(), SHOWN_ERROR_BYTES))
}

pub(crate) fn unsuitable(world: World, error: &wasmtime::Error) -> LoadError {
    LoadError::Unsuitable {
        world: world.name(),
        explanation: clean(&format!("{error:#}"), MAX_EXPLANATION_BYTES),
    }
}

fn add_common<S: 'static>(linker: &mut Linker<CallState<S>>) -> wasmtime::Result<()> {
    words::types::add_to_linker::<_, HasSelf<crate::call::LogBook>>(linker, |state| &mut state.log)?;
    words::host::add_to_linker::<_, HasSelf<crate::call::LogBook>>(linker, |state| &mut state.log)
}

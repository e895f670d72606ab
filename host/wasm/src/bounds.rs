//! Whether compiling a component is bounded: what is counted while it is read, each in one pass.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef,
    CompositeInnerType, Encoding, FunctionBody, Instance, Payload, TypeSectionReader,
};

use crate::effort::Effort;
use crate::initializers::{Initializers, Module};
use crate::limits::{
    MAX_FUNCTION_BYTES, MAX_FUNCTION_LOCALS, MAX_FUNCTIONS, MAX_INSTANTIATIONS, MAX_NESTED_MODULES,
    MAX_RESULTS,
};
use crate::loader::{LoadError, malformed};

/// Instantiating what is not known.
const UNKNOWN: usize = usize::MAX;

/// A limit, and how much of it a component takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What is limited, in words.
    pub what: &'static str,
    /// What the component has of it.
    pub found: u64,
    /// The most that it may have.
    pub limit: u64,
}

impl Taken {
    pub(crate) fn new(what: &'static str, found: usize, limit: usize) -> Self {
        Self { what, found: found as u64, limit: limit as u64 }
    }
}

/// What was counted so far.
pub(crate) struct Bounds {
    /// Of the component.
    bytes: usize,
    modules: usize,
    functions: usize,
    largest_function: usize,
    most_locals: u32,
    /// Of the whole component, when it was read.
    instantiations: usize,
    effort: Effort,
    initializers: Initializers,
    /// The modules and components that are being read, the outermost first.
    open: Vec<Part>,
}

/// A module or component.
#[derive(Default)]
struct Part {
    /// Modules have no index among components.
    is_component: bool,
    /// What instantiating it instantiates.
    instantiations: usize,
    /// The same for each component that it names, by index.
    components: Vec<usize>,
    /// What is known of it where it is a module.
    module: Module,
}

impl Bounds {
    /// Of a component of so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self {
            bytes,
            modules: 0,
            functions: 0,
            largest_function: 0,
            most_locals: 0,
            instantiations: 0,
            effort: Effort::default(),
            initializers: Initializers::of_component(bytes),
            open: Vec::new(),
        }
    }

    /// Counts what a valid payload adds.
    ///
    /// # Errors
    /// [`LoadError`] for the first limit that is exceeded.
    pub(crate) fn take(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => self.begin(*encoding)?,
            Payload::End(_) => self.end(),
            Payload::TypeSection(section) => types(section.clone())?,
            Payload::CodeSectionStart { count, .. } => self.functions(*count)?,
            Payload::CodeSectionEntry(body) => {
                let locals = function(body)?;
                self.largest_function = self.largest_function.max(body.range().len());
                self.most_locals = self.most_locals.max(locals);
                self.effort.add(body, locals)?;
            }
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    if let Instance::Instantiate { .. } = instance.map_err(malformed)? {
                        self.instantiate(0)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    let instance = instance.map_err(malformed)?;
                    if let ComponentInstance::Instantiate { component_index, .. } = instance {
                        self.instantiate(self.inside(0, component_index))?;
                    }
                }
            }
            other => self.name_components(other)?,
        }
        self.initialize(payload)
    }

    fn initialize(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        let Some(part) = self.open.last_mut() else { return Ok(()) };
        self.initializers.take(payload, &mut part.module)
    }

    /// About how many bytes compiling takes.
    pub(crate) fn footprint(&self) -> u64 {
        let (all, most) = self.initializers.counts();
        self.effort.footprint(self.bytes as u64, all, most)
    }

    /// How far the limits are taken.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        let mut taken = vec![
            Taken::new("modules and components", self.modules, MAX_NESTED_MODULES),
            Taken::new("instances", self.instantiations, MAX_INSTANTIATIONS),
            Taken::new("functions", self.functions, MAX_FUNCTIONS),
            Taken::new("bytes of the largest function", self.largest_function, MAX_FUNCTION_BYTES),
            Taken {
                what: "locals of one function",
                found: self.most_locals.into(),
                limit: MAX_FUNCTION_LOCALS.into(),
            },
        ];
        taken.extend(self.effort.taken());
        taken.extend(self.initializers.taken());
        taken
    }

    fn begin(&mut self, encoding: Encoding) -> Result<(), LoadError> {
        self.modules += 1;
        if self.modules > MAX_NESTED_MODULES {
            return Err(LoadError::TooManyModules(MAX_NESTED_MODULES));
        }
        self.open.push(Part { is_component: encoding == Encoding::Component, ..Part::default() });
        Ok(())
    }

    fn end(&mut self) {
        if let Some(ended) = self.open.pop().filter(|part| part.is_component) {
            self.instantiations = ended.instantiations;
            self.name(ended.instantiations);
        }
    }

    fn functions(&mut self, count: u32) -> Result<(), LoadError> {
        self.functions = self.functions.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        if self.functions > MAX_FUNCTIONS {
            return Err(LoadError::TooManyFunctions { functions: self.functions, limit: MAX_FUNCTIONS });
        }
        Ok(())
    }

    /// One more, and all that are in it.
    fn instantiate(&mut self, inside: usize) -> Result<(), LoadError> {
        let Some(part) = self.open.last_mut() else { return Ok(()) };
        part.instantiations = part.instantiations.saturating_add(1).saturating_add(inside);
        if part.instantiations > MAX_INSTANTIATIONS {
            return Err(LoadError::TooManyInstantiations(MAX_INSTANTIATIONS));
        }
        Ok(())
    }

    /// What instantiating a component instantiates, `outward` parts from the one that is being read. One that is not
    /// known, since it is imported or comes out of an instance, may instantiate whatever it likes.
    fn inside(&self, outward: u32, index: u32) -> usize {
        let at = usize::try_from(outward).ok().and_then(|outward| self.open.iter().rev().nth(outward));
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        at.and_then(|part| part.components.get(index)).copied().unwrap_or(UNKNOWN)
    }

    /// The part that is being read names one more component.
    fn name(&mut self, instantiations: usize) {
        if let Some(part) = self.open.last_mut() {
            part.components.push(instantiations);
        }
    }

    /// Imports, aliases and exports of components take indices, too.
    fn name_components(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    if let ComponentTypeRef::Component(_) = import.map_err(malformed)?.ty {
                        self.name(UNKNOWN);
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    match alias.map_err(malformed)? {
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                            self.name(self.inside(count, index));
                        }
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                            self.name(UNKNOWN);
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let export = export.map_err(malformed)?;
                    if export.kind == ComponentExternalKind::Component {
                        self.name(self.inside(0, export.index));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What one function may have: its locals.
fn function(body: &FunctionBody<'_>) -> Result<u32, LoadError> {
    let bytes = body.range().len();
    if bytes > MAX_FUNCTION_BYTES {
        return Err(LoadError::FunctionTooLarge { bytes, limit: MAX_FUNCTION_BYTES });
    }
    let mut locals = 0_u32;
    for group in body.get_locals_reader().map_err(malformed)? {
        locals = locals.saturating_add(group.map_err(malformed)?.0);
    }
    if locals > MAX_FUNCTION_LOCALS {
        return Err(LoadError::TooManyLocals { locals, limit: MAX_FUNCTION_LOCALS });
    }
    Ok(locals)
}

/// What functions and blocks may have.
fn types(types: TypeSectionReader<'_>) -> Result<(), LoadError> {
    for group in types {
        for ty in group.map_err(malformed)?.into_types() {
            if let CompositeInnerType::Func(function) = ty.composite_type.inner
                && function.results().len() > MAX_RESULTS
            {
                return Err(LoadError::TooManyResults(MAX_RESULTS));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Surface;
    use crate::limits::MAX_BLOCK_DEPTH;

    fn read(text: &str) -> Result<Surface, LoadError> {
        Surface::read(&wat::parse_str(text).unwrap())
    }

    // P-22
    #[test]
    fn blocks_of_each_kind_may_be_nested_to_the_limit_and_no_deeper() {
        for open in ["block ", "loop ", "i32.const 1 if ", "try_table "] {
            let nested = |depth: usize| {
                let (open, close) = (open.repeat(depth), "end ".repeat(depth));
                read(&format!("(component (core module (func) (func {open}{close})))"))
            };
            assert!(nested(MAX_BLOCK_DEPTH).is_ok(), "{open}");
            let error = nested(MAX_BLOCK_DEPTH + 1).unwrap_err();
            assert!(matches!(error, LoadError::BlocksTooDeep(MAX_BLOCK_DEPTH)), "{open}: {error}");
            assert!(error.to_string().contains(&MAX_BLOCK_DEPTH.to_string()), "{error}");
        }
    }

    // P-22
    #[test]
    fn blocks_one_after_the_other_are_not_nested() {
        let blocks = "block end ".repeat(2 * MAX_BLOCK_DEPTH);
        assert!(read(&format!("(component (core module (func {blocks})))")).is_ok());
    }

    // P-22
    #[test]
    fn a_function_gives_as_many_results_as_are_allowed_and_no_more() {
        let results = |results: usize| {
            let (types, values) = ("i32 ".repeat(results), "i32.const 1 ".repeat(results));
            read(&format!("(component (core module (func (result {types}) {values})))"))
        };
        assert!(results(MAX_RESULTS).is_ok());
        let error = results(MAX_RESULTS + 1).unwrap_err();
        assert!(matches!(error, LoadError::TooManyResults(MAX_RESULTS)), "{error}");
        assert!(error.to_string().contains("more than 16 results"), "{error}");
    }

    // P-22
    #[test]
    fn the_functions_of_all_modules_together_are_limited() {
        let modules = |first: usize, second: usize| {
            let (first, second) = ("(func)".repeat(first), "(func)".repeat(second));
            read(&format!("(component (core module {first}) (component (core module {second})))"))
        };
        assert!(modules(MAX_FUNCTIONS - 5, 5).is_ok());
        let error = modules(MAX_FUNCTIONS - 5, 6).unwrap_err();
        assert!(matches!(error, LoadError::TooManyFunctions { limit: MAX_FUNCTIONS, .. }), "{error}");
        assert!(error.to_string().contains(&(MAX_FUNCTIONS + 1).to_string()), "{error}");
    }

    // P-22
    #[test]
    fn instances_of_modules_and_components_are_limited_together() {
        let instances = |modules: usize, components: usize| {
            let modules = "(core instance (instantiate $m))".repeat(modules);
            let components = "(instance (instantiate $c))".repeat(components);
            read(&format!("(component (core module $m) (component $c) {modules}{components})"))
        };
        assert!(instances(MAX_INSTANTIATIONS - 1, 1).is_ok());
        assert!(instances(0, MAX_INSTANTIATIONS).is_ok());
        for (modules, components) in [(MAX_INSTANTIATIONS, 1), (0, MAX_INSTANTIATIONS + 1)] {
            let error = instances(modules, components).unwrap_err();
            assert!(matches!(error, LoadError::TooManyInstantiations(MAX_INSTANTIATIONS)), "{error}");
            assert!(error.to_string().contains(&MAX_INSTANTIATIONS.to_string()), "{error}");
        }
    }

    // P-22
    #[test]
    fn instances_of_instances_are_multiplied() {
        let nested = |each: usize| {
            let modules = "(core instance (instantiate $m))".repeat(each);
            read(&format!(
                "(component (component $c (core module $m) {modules}) (component $d (alias outer 1 $c (component $e))
                 {}) {})",
                "(instance (instantiate $e))".repeat(4),
                "(instance (instantiate $d))".repeat(4),
            ))
        };
        // 4 * (1 + 4 * (1 + each))
        let most = (MAX_INSTANTIATIONS / 4 - 1) / 4 - 1;
        assert!(nested(most).is_ok());
        assert!(matches!(nested(most + 1), Err(LoadError::TooManyInstantiations(_))));
    }

    // P-22
    #[test]
    fn a_component_whose_content_is_not_known_is_not_instantiated() {
        let imported = "(component (component (import \"c\" (component $c)) (instance (instantiate $c))))";
        assert!(matches!(read(imported), Err(LoadError::TooManyInstantiations(_))));
        let exported = "(component (component $c (component $d) (export \"d\" (component $d)))
            (instance $i (instantiate $c)) (alias export $i \"d\" (component $e)) {})";
        assert!(read(&exported.replace("{}", "")).is_ok());
        let instantiated = exported.replace("{}", "(instance (instantiate $e))");
        assert!(matches!(read(&instantiated), Err(LoadError::TooManyInstantiations(_))));
    }

    // What `carrara policy check` shows
    #[test]
    fn how_far_limits_are_taken_is_what_the_component_has() {
        let text = "(component
            (core module $m
                (func (local i32 i64) (block (block (br 0)) (drop (i32.load (i32.const 0)))))
                (func) (memory 1))
            (core instance (instantiate $m)) (core instance (instantiate $m)))";
        let surface = Surface::parse(&wat::parse_str(text).unwrap()).unwrap();
        let found: Vec<_> = surface.taken.iter().map(|taken| (taken.what, taken.found)).collect();
        assert_eq!(found[..3], [("modules and components", 2), ("instances", 2), ("functions", 2)]);
        assert_eq!(found[4..6], [("locals of one function", 2), ("depth of blocks", 2)]);
        // Two blocks and a branch, squared; with an access, times two locals.
        assert_eq!(
            found[6..],
            [
                ("squares of branches", 9),
                ("squares of accesses of memory", 1),
                ("branches and accesses times locals", 8),
                ("initializers", 0),
                ("memories of all modules", 1),
                ("elements of their tables at the start", 0),
            ]
        );
        assert!(surface.taken.iter().all(|taken| taken.found <= taken.limit));
    }
}

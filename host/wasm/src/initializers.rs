//! What instantiating a module does before any of its code runs: the engine compiles all of it into one function, which takes
//! memory for each of them and time that grows with the square of their number. And how large what it makes is at first: the
//! engine makes images of tables and memories while it compiles.

use wasmparser::{
    BinaryReaderError, ConstExpr, Element, ElementItems, ElementKind, Operator, Payload, TableInit, TypeRef,
};

use crate::bounds::Taken;
use crate::data::{Room, Seen, Segment};
use crate::limits::{MAX_INITIALIZERS, MAX_MEMORIES, MAX_TABLE_ELEMENTS};
use crate::loader::{LoadError, malformed};

/// What a data segment counts; an element of a table, and an instruction that computes a place or a value, count one.
pub(crate) const SEGMENT: usize = 4;

/// Of all modules of a component so far.
pub(crate) struct Initializers {
    count: usize,
    /// Of the module that has the most.
    most: usize,
    room: Room,
    memories: usize,
    table_elements: u64,
}

/// A module, as far as it was read.
#[derive(Default)]
pub(crate) struct Module {
    seen: Seen,
    count: usize,
    imported_tables: usize,
    tables: Vec<Table>,
    /// An element came that is written when the module is instantiated; then so are all that follow.
    writes_elements: bool,
}

struct Table {
    elements: u64,
    /// References to nothing at first.
    empty: bool,
}

impl Initializers {
    /// Of a component of so many bytes.
    pub(crate) fn of_component(bytes: usize) -> Self {
        Self { count: 0, most: 0, room: Room::of(bytes), memories: 0, table_elements: 0 }
    }

    /// How far the limits are taken.
    pub(crate) fn taken(&self) -> [Taken; 3] {
        [
            Taken::new("initializers", self.count, MAX_INITIALIZERS),
            Taken::new("memories of all modules", self.memories, MAX_MEMORIES),
            Taken {
                what: "elements of their tables at the start",
                found: self.table_elements,
                limit: MAX_TABLE_ELEMENTS,
            },
        ]
    }

    /// How many there are in all modules, and in the one that has the most.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.count as u64, self.most as u64)
    }

    /// Counts what the next payload of a module adds.
    ///
    /// # Errors
    /// [`LoadError`] for the first limit that is exceeded.
    pub(crate) fn take(&mut self, payload: &Payload<'_>, module: &mut Module) -> Result<(), LoadError> {
        module.seen.see(payload).map_err(malformed)?;
        let more = self.of(payload, module).map_err(malformed)?;
        self.count = self.count.saturating_add(more);
        module.count = module.count.saturating_add(more);
        self.most = self.most.max(module.count);
        if self.count > MAX_INITIALIZERS {
            return Err(LoadError::TooManyInitializers { found: self.count, limit: MAX_INITIALIZERS });
        }
        if self.memories > MAX_MEMORIES {
            return Err(LoadError::TooManyMemories(MAX_MEMORIES));
        }
        if self.table_elements > MAX_TABLE_ELEMENTS {
            return Err(LoadError::TablesTooLarge(MAX_TABLE_ELEMENTS));
        }
        Ok(())
    }

    fn of(&mut self, payload: &Payload<'_>, module: &mut Module) -> Result<usize, BinaryReaderError> {
        let mut count = 0_usize;
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    module.imported_tables += usize::from(matches!(import?.ty, TypeRef::Table(_)));
                }
            }
            Payload::MemorySection(memories) => self.memories += memories.count() as usize,
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    let table = table?;
                    let (empty, computed) = match &table.init {
                        TableInit::RefNull => (true, 0),
                        TableInit::Expr(expression) => (false, operators(expression)?),
                    };
                    count = count.saturating_add(computed);
                    self.table_elements = self.table_elements.saturating_add(table.ty.initial);
                    module.tables.push(Table { elements: table.ty.initial, empty });
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone() {
                    count = count.saturating_add(computed(&global?.init_expr)?);
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements.clone() {
                    count = count.saturating_add(module.element(&element?)?);
                }
            }
            Payload::DataSection(section) => {
                let segments = module.seen.join(section, &mut self.room)?;
                let active = |segment: &&Segment<'_>| !matches!(segment, Segment::Kept { active: false, .. });
                count = segments.iter().filter(active).count().saturating_mul(SEGMENT);
                for data in section.clone() {
                    if let wasmparser::DataKind::Active { offset_expr, .. } = data?.kind {
                        count = count.saturating_add(computed(&offset_expr)?);
                    }
                }
            }
            _ => {}
        }
        Ok(count)
    }
}

impl Module {
    /// What a segment of elements counts: nothing where it becomes part of its table's image.
    fn element(&mut self, element: &Element<'_>) -> Result<usize, BinaryReaderError> {
        let (items, computed_items) = match &element.items {
            ElementItems::Functions(functions) => (functions.count() as usize, 0),
            ElementItems::Expressions(_, items) => {
                let mut count = 0_usize;
                for item in items.clone() {
                    count = count.saturating_add(operators(&item?)?);
                }
                (items.count() as usize, count)
            }
        };
        let functions = matches!(element.items, ElementItems::Functions(_));
        Ok(match &element.kind {
            ElementKind::Declared => 0,
            ElementKind::Passive => 1 + items.max(computed_items),
            ElementKind::Active { table_index, offset_expr } => {
                let place = computed(offset_expr)?;
                let table = table_index.unwrap_or(0) as usize;
                let table = table.checked_sub(self.imported_tables).and_then(|own| self.tables.get(own));
                let end = constant(offset_expr)?.and_then(|offset| offset.checked_add(items as u64));
                let fits = |table: &Table| table.empty && end.is_some_and(|end| end <= table.elements);
                self.writes_elements |= !(functions && table.is_some_and(fits));
                if self.writes_elements { 1 + place + items.max(computed_items) } else { 0 }
            }
        })
    }
}

/// How many instructions compute a value; none where it is one number. (The engine computes references to nothing, too.)
fn computed(expression: &ConstExpr<'_>) -> Result<usize, BinaryReaderError> {
    let literal = matches!(
        expression.get_operators_reader().read()?,
        Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::V128Const { .. }
    );
    let count = operators(expression)?;
    Ok(if literal && count == 1 { 0 } else { count })
}

/// How many instructions there are, but for the `end`.
fn operators(expression: &ConstExpr<'_>) -> Result<usize, BinaryReaderError> {
    let (mut operators, mut count) = (expression.get_operators_reader(), 0);
    while !operators.eof() {
        operators.read()?;
        count += 1;
    }
    Ok(count.max(1) - 1)
}

/// The place that an expression is, if it is one number.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u64>, BinaryReaderError> {
    if computed(expression)? > 0 {
        return Ok(None);
    }
    Ok(match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Some(u64::from(value.cast_unsigned())),
        Operator::I64Const { value } => Some(value.cast_unsigned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Surface;

    fn read(text: &str) -> Result<Surface, LoadError> {
        Surface::read(&wat::parse_str(text).unwrap())
    }

    /// What a module counts, by what `carrara policy check` shows.
    fn count(module: &str) -> u64 {
        let surface = read(&format!("(component (core module {module}))")).unwrap();
        surface.taken.iter().find(|taken| taken.what == "initializers").unwrap().found
    }

    /// Segments of a byte each.
    fn data(places: impl IntoIterator<Item = u64>) -> String {
        places.into_iter().map(|at| format!("(data (i32.const {at}) \"a\")")).collect()
    }

    // P-22
    #[test]
    fn what_instantiating_does_is_counted() {
        let two = data([0, 2]);
        let computed = "(import \"m\" \"g\" (global $g i32)) (global i32 (global.get $g))
            (global i32 (i32.add (i32.const 1) (i32.const 1)))";
        let declared = "(func $f) (table 9 (ref func) (ref.func $f)) (elem declare func $f)";
        let literals = "(global i32 (i32.const 1)) (global f64 (f64.const 1))";
        for (module, expected) in [
            (format!("(memory 1) {two}"), 4),
            (format!("(memory 1) {} (data \"passive\")", data([0, 9000])), 8),
            (format!("(import \"m\" \"m\" (memory 1)) {two}"), 8),
            ("(import \"m\" \"g\" (global $g i32)) (memory 1) (data (global.get $g) \"a\")".to_owned(), 5),
            (literals.to_owned(), 0),
            ("(global funcref (ref.null func))".to_owned(), 1),
            (computed.to_owned(), 4),
            (declared.to_owned(), 1),
        ] {
            assert_eq!(count(&module), expected, "{module}");
        }
    }

    // P-22
    #[test]
    fn elements_count_unless_they_are_part_of_a_tables_image() {
        let elements = |before: &str, elements: &str| {
            count(&format!("(import \"m\" \"g\" (global $g i32)) {before} (func $f) {elements}"))
        };
        let own = "(table 9 funcref)";
        assert_eq!(elements(own, "(elem (i32.const 0) $f $f $f)"), 0);
        assert_eq!(elements(own, "(elem (i32.const 6) $f $f $f)"), 0);
        assert_eq!(elements(own, "(elem (i32.const 7) $f $f $f)"), 4, "outside of it");
        assert_eq!(
            elements(own, "(elem (i32.const 7) $f $f $f) (elem (i32.const 0) $f)"),
            6,
            "after such a one"
        );
        assert_eq!(elements(own, "(elem (global.get $g) $f $f $f)"), 5);
        assert_eq!(elements(own, "(elem (i32.const 0) funcref (ref.func $f) (ref.null func))"), 3);
        assert_eq!(elements(own, "(elem func $f $f)"), 3, "passive");
        assert_eq!(elements("(import \"m\" \"t\" (table 9 funcref))", "(elem (i32.const 0) $f $f)"), 3);
        let filled = "(table 9 (ref null func) (ref.null func)) (table $own 9 funcref)";
        assert_eq!(
            elements(filled, "(elem (table $own) (i32.const 0) func $f $f)"),
            1,
            "the other one is filled"
        );
    }

    // P-22
    #[test]
    fn initializers_of_all_modules_are_limited_together() {
        let apart = |count: usize| {
            let data = data((0..count as u64).map(|at| at * 5000));
            format!("(core module (memory 500) {data})")
        };
        let both = |first: usize, second: usize| {
            read(&format!("(component {} (component {}))", apart(first), apart(second)))
        };
        let most = MAX_INITIALIZERS / SEGMENT;
        assert!(both(most - 5, 5).is_ok());
        let error = both(most - 5, 6).unwrap_err();
        assert!(
            matches!(error, LoadError::TooManyInitializers { found, .. } if found == MAX_INITIALIZERS + 4)
        );
        assert!(error.to_string().contains("fewer segments of data"), "{error}");
    }

    // P-22
    #[test]
    fn what_images_are_made_of_is_limited() {
        let memories =
            |count: usize| read(&format!("(component (core module {}))", "(memory 0)".repeat(count)));
        assert!(memories(MAX_MEMORIES).is_ok());
        let error = memories(MAX_MEMORIES + 1).unwrap_err();
        assert!(matches!(error, LoadError::TooManyMemories(MAX_MEMORIES)), "{error}");
        let tables = |more: u64| {
            let table = |elements: u64| format!("(core module (table {elements} funcref))");
            read(&format!("(component {}{})", table(MAX_TABLE_ELEMENTS - 3), table(3 + more)))
        };
        assert!(tables(0).is_ok());
        let error = tables(1).unwrap_err();
        assert!(matches!(error, LoadError::TablesTooLarge(MAX_TABLE_ELEMENTS)), "{error}");
    }
}

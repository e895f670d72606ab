//! What instantiating a module does before any of its code runs: the engine compiles all of it into one function, which takes memory
//! for each of them and time that grows with the square of their number.

use wasmparser::{BinaryReaderError, ConstExpr, ElementItems, Operator, Payload, TableInit};

use crate::bounds::Taken;
use crate::data::{Room, Seen, Segment};
use crate::limits::MAX_INITIALIZERS;
use crate::loader::LoadError;
use crate::text::clean;

/// Errors of the reader are cut here.
const SHOWN_ERROR_BYTES: usize = 128;

/// Of all modules of a component so far.
#[derive(Default)]
pub(crate) struct Initializers {
    count: usize,
    room: Room,
}

impl Initializers {
    /// How far the limit is taken.
    pub(crate) fn taken(&self) -> Taken {
        Taken::new("initializers", self.count, MAX_INITIALIZERS)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Counts what a payload adds, of a module of which so much was seen.
    ///
    /// # Errors
    /// [`LoadError::TooManyInitializers`].
    pub(crate) fn take(&mut self, payload: &Payload<'_>, seen: &Seen) -> Result<(), LoadError> {
        let more = self.of(payload, seen).map_err(malformed)?;
        self.count = self.count.saturating_add(more);
        if self.count > MAX_INITIALIZERS {
            return Err(LoadError::TooManyInitializers { found: self.count, limit: MAX_INITIALIZERS });
        }
        Ok(())
    }

    fn of(&mut self, payload: &Payload<'_>, seen: &Seen) -> Result<usize, BinaryReaderError> {
        let mut count = 0;
        match payload {
            Payload::DataSection(section) => {
                let segments = seen.join(section, &mut self.room)?;
                count = segments
                    .iter()
                    .filter(|segment| !matches!(segment, Segment::Kept { active: false, .. }))
                    .count();
            }
            Payload::ElementSection(elements) => {
                for element in elements.clone() {
                    count += 1;
                    if let ElementItems::Expressions(_, items) = element?.items {
                        count = count.saturating_add(items.count() as usize);
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone() {
                    count += usize::from(!is_literal(&global?.init_expr)?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    count += usize::from(matches!(table?.init, TableInit::Expr(_)));
                }
            }
            _ => {}
        }
        Ok(count)
    }
}

/// Whether it is one number, or one reference to nothing.
fn is_literal(expression: &ConstExpr<'_>) -> Result<bool, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let literal = matches!(
        operators.read()?,
        Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::V128Const { .. }
            | Operator::RefNull { .. }
    );
    Ok(literal && matches!(operators.read()?, Operator::End))
}

fn malformed(error: BinaryReaderError) -> LoadError {
    LoadError::Malformed(clean(&error.to_string(), SHOWN_ERROR_BYTES))
}

//! Joins the data segments of modules before they are compiled.
//!
//! Where memories are not made of images, so in an enclave, the engine compiles one call for each segment, all of them in one
//! function: the 38,000 that Go's linker makes of one program took 1.7 GB and minutes. Joined, they are five.
//!
//! A segment is joined to the one before it where nothing can tell the difference: both lie in the module's own memory, which is
//! all zeros at first, at places that are known, the second above the first, with few bytes between them that no other wrote; and no
//! code names a segment.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{ConstExpr, DataCountSection, DataSection, RawSection, Section};
use wasmparser::{
    BinaryReaderError, Data, DataKind, DataSectionReader, FunctionBody, Operator, Parser, Payload, TypeRef,
};

use crate::initializers::SEGMENT;
use crate::limits::MAX_INITIALIZERS;

/// The most zeros that are written between two segments that are joined: CPython's lie up to that far apart.
const MAX_GAP: u64 = 1024;

/// All such zeros of one component; Go's and CPython's have less than 1 MiB.
const MAX_ZEROS: u64 = 4 << 20;

/// Core modules in a component (Component Model, Binary.md, "Component definitions").
const MODULE_SECTION: u8 = 1;

/// Components in a component (the same).
const COMPONENT_SECTION: u8 = 4;

/// How many zeros may still be written between segments of a component.
pub(crate) struct Room(u64);

impl Room {
    /// Of a component of so many bytes: joined it is at most twice as large.
    pub(crate) fn of(component: usize) -> Self {
        Self(MAX_ZEROS.min(component as u64))
    }
}

/// What is known of a module when its data comes; the sections before them are seen first.
#[derive(Default)]
pub(crate) struct Seen {
    /// An imported memory is not all zeros.
    imports_memory: bool,
    /// Only then may code name a segment (WebAssembly 3.0, "Data Count Section").
    counted: bool,
    named: bool,
}

/// A data segment, or several that were joined.
pub(crate) enum Segment<'a> {
    /// As it stands at that place of the file.
    Kept {
        at: Range<usize>,
        /// Written when the module is instantiated, and not when code says so.
        active: bool,
    },
    /// In the module's own memory.
    Joined {
        offset: u32,
        end: u64,
        /// Each with the zeros before it.
        parts: Vec<(u64, &'a [u8])>,
    },
}

impl Seen {
    /// Looks at the next payload of the module.
    pub(crate) fn see(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.imports_memory |= matches!(import?.ty, TypeRef::Memory(_));
                }
            }
            Payload::DataCountSection { .. } => self.counted = true,
            Payload::CodeSectionEntry(body) if self.counted && !self.named => self.named = names_data(body)?,
            _ => {}
        }
        Ok(())
    }

    /// The segments of its data section, joined where they can be.
    pub(crate) fn join<'a>(
        &self,
        section: &DataSectionReader<'a>,
        room: &mut Room,
    ) -> Result<Vec<Segment<'a>>, BinaryReaderError> {
        let (mut segments, mut written) = (Vec::<Segment<'a>>::new(), Written::default());
        for data in section.clone() {
            let Data { kind, data, range } = data?;
            let offset = match &kind {
                DataKind::Active { memory_index: 0, offset_expr } if self.joins() => constant(offset_expr)?,
                _ => None,
            };
            let Some(offset) = offset else {
                let active = matches!(kind, DataKind::Active { .. });
                written.anywhere |= active;
                segments.push(Segment::Kept { at: range, active });
                continue;
            };
            let start = u64::from(offset);
            let end = start + data.len() as u64;
            let last = match segments.last_mut() {
                Some(Segment::Joined { end, parts, .. }) => Some((end, parts)),
                _ => None,
            };
            let zeros = last.as_ref().and_then(|(last, _)| written.zeros_between(**last, start));
            match (last, zeros.filter(|zeros| *zeros <= room.0)) {
                (Some((last, parts)), Some(zeros)) => {
                    room.0 -= zeros;
                    parts.push((zeros, data));
                    *last = end;
                    written.grow(end);
                }
                _ => {
                    segments.push(Segment::Joined { offset, end, parts: vec![(0, data)] });
                    written.runs.push((start, end));
                }
            }
        }
        Ok(segments)
    }

    fn joins(&self) -> bool {
        !self.imports_memory && !self.named
    }
}

/// What the segments so far write.
#[derive(Default)]
struct Written {
    /// Where each that was joined begins and ends.
    runs: Vec<(u64, u64)>,
    /// Who knows where.
    anywhere: bool,
}

impl Written {
    /// How many bytes lie between two places, if they are few and no segment wrote any of them: they are zeros.
    fn zeros_between(&self, last: u64, start: u64) -> Option<u64> {
        let zeros = start.checked_sub(last).filter(|zeros| *zeros <= MAX_GAP)?;
        // Each segment is held against all before it; with so many the component is refused.
        let few = self.runs.len() <= MAX_INITIALIZERS / SEGMENT;
        let untouched = |(offset, end): &(u64, u64)| *end <= last || *offset >= start;
        (zeros == 0 || !self.anywhere && few && self.runs.iter().all(untouched)).then_some(zeros)
    }

    fn grow(&mut self, end: u64) {
        if let Some((_, last)) = self.runs.last_mut() {
            *last = end;
        }
    }
}

/// Whether the body copies a segment or drops one.
fn names_data(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        // Those of garbage collection, too, make arrays of segments.
        if let Operator::MemoryInit { .. }
        | Operator::DataDrop { .. }
        | Operator::ArrayNewData { .. }
        | Operator::ArrayInitData { .. } = operators.read()?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The value of an expression that is nothing but an `i32.const`.
fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<Option<u32>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let first = operators.read()?;
    let only = matches!(operators.read()?, Operator::End);
    Ok(match first {
        Operator::I32Const { value } if only => Some(value.cast_unsigned()),
        _ => None,
    })
}

/// The component with its segments joined; as it is where there are none to join.
///
/// # Errors
/// What keeps it from being read.
pub(crate) fn joined(component: &[u8]) -> Result<Cow<'_, [u8]>, BinaryReaderError> {
    let (mut open, mut room, mut fewer) = (Vec::<Part>::new(), Room::of(component.len()), false);
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let Some(part) = open.last_mut() {
            part.seen.see(&payload)?;
        }
        match (&payload, open.last_mut()) {
            (Payload::Version { range, .. }, _) => open.push(Part::begin(at(component, range))),
            (Payload::End(_), _) => {
                let Some(ended) = open.pop() else { continue };
                let Some(outer) = open.last_mut() else {
                    return Ok(if fewer { ended.bytes.into() } else { component.into() });
                };
                outer.section(outer.inner, &ended.bytes);
            }
            (Payload::ModuleSection { .. }, Some(part)) => part.inner = MODULE_SECTION,
            (Payload::ComponentSection { .. }, Some(part)) => part.inner = COMPONENT_SECTION,
            (Payload::DataCountSection { .. }, Some(part)) => part.count_at = Some(part.bytes.len()),
            (Payload::DataSection(section), Some(part)) => {
                let segments = part.seen.join(section, &mut room)?;
                fewer |= segments.len() < section.count() as usize;
                part.data(component, &segments);
            }
            (other, Some(part)) => {
                if let Some((id, range)) = other.as_section() {
                    part.section(id, at(component, &range));
                }
            }
            (_, None) => {}
        }
    }
    Ok(component.into())
}

/// What stands there, where the reader found it.
fn at<'a>(component: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    component.get(range.clone()).unwrap_or_default()
}

/// A module or component that is being written.
struct Part {
    seen: Seen,
    /// What it is in its component.
    inner: u8,
    bytes: Vec<u8>,
    /// Where the number of its data segments belongs.
    count_at: Option<usize>,
}

impl Part {
    fn begin(version: &[u8]) -> Self {
        Self { seen: Seen::default(), inner: MODULE_SECTION, bytes: version.to_vec(), count_at: None }
    }

    fn section(&mut self, id: u8, data: &[u8]) {
        RawSection { id, data }.append_to(&mut self.bytes);
    }

    fn data(&mut self, component: &[u8], segments: &[Segment<'_>]) {
        let mut section = DataSection::new();
        for segment in segments {
            match segment {
                Segment::Kept { at: range, .. } => section.raw(at(component, range)),
                Segment::Joined { offset, parts, .. } => {
                    section.active(0, &ConstExpr::i32_const(offset.cast_signed()), together(parts))
                }
            };
        }
        section.append_to(&mut self.bytes);
        if let Some(at) = self.count_at {
            let mut count = Vec::new();
            DataCountSection { count: section.len() }.append_to(&mut count);
            self.bytes.splice(at..at, count);
        }
    }
}

/// The bytes of segments, with the zeros before each.
fn together(parts: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (zeros, part) in parts {
        bytes.extend(std::iter::repeat_n(0, usize::try_from(*zeros).unwrap_or_default()));
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests;

//! What the functions of an interface look like, one line for each field of each type, so that two versions of an
//! interface can be compared and the item that differs be named.
//!
//! Looks at types only: neither code nor memory of the component is touched, and nothing is compiled.

use std::collections::BTreeMap;

use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;

use crate::loader::LoadError;

/// Lines of all interfaces of a component, at most: types can share parts, and the text of a small component could be
/// endless. All that `wit/` has are fewer than 300.
const MAX_LINES: usize = 4096;

/// Bytes of all those lines, at most: a name can have 100,000 bytes, and each line repeats the names above it. All that
/// `wit/` has are 12 KiB.
const MAX_BYTES: usize = 1 << 20;

/// Bytes of one line, at most: no name is written, or joined with those above it, that does not fit. The longest line of
/// `wit/` has fewer than 80.
const MAX_LINE_BYTES: usize = 1024;

/// How deep types are followed; the interfaces need 9.
const MAX_DEPTH: usize = 32;

/// The functions of an interface with their lines, such as `request.principal.name: string`, in the order in which they
/// are declared, which matters.
pub(crate) type Shape = BTreeMap<String, Vec<String>>;

/// The room that the shapes of a component have together.
pub(crate) struct Room {
    lines: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { lines: MAX_LINES, bytes: MAX_BYTES }
    }
}

impl Room {
    /// Room for one line, or for a name that stands alone.
    fn take(&mut self, bytes: usize) -> Result<(), LoadError> {
        let refused = |unit, limit| LoadError::InterfacesTooLarge { unit, limit };
        if bytes > MAX_LINE_BYTES {
            return Err(refused("bytes in one line", MAX_LINE_BYTES));
        }
        self.lines = self.lines.checked_sub(1).ok_or_else(|| refused("lines", MAX_LINES))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| refused("bytes", MAX_BYTES))?;
        Ok(())
    }
}

/// The functions of an imported or exported instance.
///
/// # Errors
/// [`LoadError::InterfacesTooLarge`] when there is no room left.
pub(crate) fn shape(
    types: TypesRef<'_>,
    entity: &ComponentEntityType,
    room: &mut Room,
) -> Result<Shape, LoadError> {
    let mut shape = Shape::new();
    let ComponentEntityType::Instance(instance) = entity else { return Ok(shape) };
    let Some(instance) = types.get(*instance) else { return Ok(shape) };
    for (name, item) in &instance.exports {
        if let ComponentEntityType::Func(function) = item.ty {
            room.take(name.len())?;
            shape.insert(name.clone(), lines(types, function, room)?);
        }
    }
    Ok(shape)
}

/// What this host offers, from the text that [`text`] makes of `wit/`.
pub(crate) fn offered(interface: &str) -> Shape {
    let mut shape = Shape::new();
    let all = include_str!("../interfaces.txt").lines();
    for line in all.filter_map(|line| line.strip_prefix(interface)?.strip_prefix(' ')) {
        let (function, line) = line.split_once(' ').unwrap_or((line, ""));
        let lines = shape.entry(function.to_owned()).or_default();
        if !line.is_empty() {
            lines.push(line.to_owned());
        }
    }
    shape
}

/// The lines of the file `interfaces.txt`.
#[cfg(test)]
pub(crate) fn text(interface: &str, shape: &Shape) -> String {
    let mut text = String::new();
    for (function, lines) in shape {
        text.push_str(&format!("{interface} {function}\n"));
        for line in lines {
            text.push_str(&format!("{interface} {function} {line}\n"));
        }
    }
    text
}

/// What is different in the second of two functions; `None` if they are the same.
pub(crate) fn difference(offered: &[String], found: &[String]) -> Option<String> {
    if offered == found {
        return None;
    }
    let lacks = offered.iter().find(|line| !found.contains(line));
    let adds = found.iter().find(|line| !offered.contains(line));
    Some(match (lacks, adds) {
        (Some(lacks), Some(adds)) => format!("it has `{adds}`, where this coordinator has `{lacks}`"),
        (Some(lacks), None) => format!("it lacks `{lacks}`"),
        (None, Some(adds)) => format!("it has `{adds}`, which this coordinator does not know"),
        (None, None) => "its fields are in another order".to_owned(),
    })
}

fn lines(
    types: TypesRef<'_>,
    function: ComponentFuncTypeId,
    room: &mut Room,
) -> Result<Vec<String>, LoadError> {
    let mut writer = Writer { types, lines: Vec::new(), room };
    if let Some(function) = types.get(function) {
        for (name, ty) in &function.params {
            writer.write(name, *ty, 0)?;
        }
        if let Some(result) = function.result {
            writer.write("result", result, 0)?;
        }
        if function.async_ {
            writer.line("async", "")?;
        }
    }
    Ok(writer.lines)
}

struct Writer<'a, 'b> {
    types: TypesRef<'a>,
    lines: Vec<String>,
    room: &'b mut Room,
}

impl Writer<'_, '_> {
    /// Takes the room first: nothing is written that is refused.
    fn line(&mut self, path: &str, rest: &str) -> Result<(), LoadError> {
        self.room.take(path.len().saturating_add(rest.len()))?;
        self.lines.push(format!("{path}{rest}"));
        Ok(())
    }

    fn write(&mut self, path: &str, ty: ComponentValType, depth: usize) -> Result<(), LoadError> {
        // Names pile up here even where no line is written, such as in lists of lists.
        if path.len() > MAX_LINE_BYTES {
            return self.line(path, "");
        }
        let id = match ty {
            ComponentValType::Primitive(primitive) => return self.line(path, &format!(": {primitive}")),
            ComponentValType::Type(id) => id,
        };
        if depth > MAX_DEPTH {
            return self.line(path, ": ...");
        }
        let Some(defined) = self.types.get(id) else { return Ok(()) };
        self.defined(path, defined, depth + 1)
    }

    fn defined(&mut self, path: &str, defined: &ComponentDefinedType, depth: usize) -> Result<(), LoadError> {
        match defined {
            ComponentDefinedType::Primitive(primitive) => self.line(path, &format!(": {primitive}")),
            ComponentDefinedType::Record(record) => {
                self.line(path, ": record")?;
                for (name, ty) in &record.fields {
                    self.write(&format!("{path}.{name}"), *ty, depth)?;
                }
                Ok(())
            }
            ComponentDefinedType::Variant(variant) => {
                self.line(path, ": variant")?;
                for (name, case) in &variant.cases {
                    self.line(path, &format!(": case {name}"))?;
                    if let Some(ty) = case.ty {
                        self.write(&format!("{path}.{name}"), ty, depth)?;
                    }
                }
                Ok(())
            }
            ComponentDefinedType::Enum(cases) => {
                self.line(path, ": enum")?;
                cases.iter().try_for_each(|name| self.line(path, &format!(": case {name}")))
            }
            ComponentDefinedType::List { element, .. } => self.write(&format!("{path}[]"), *element, depth),
            ComponentDefinedType::Option { ty, .. } => self.write(&format!("{path}?"), *ty, depth),
            ComponentDefinedType::Result { ok, err, .. } => {
                self.line(path, ": result")?;
                for (name, ty) in [("ok", ok), ("err", err)] {
                    if let Some(ty) = ty {
                        self.write(&format!("{path}.{name}"), *ty, depth)?;
                    }
                }
                Ok(())
            }
            ComponentDefinedType::Own(_) => self.line(path, ": handle"),
            ComponentDefinedType::Borrow(_) => self.line(path, ": borrowed handle"),
            // None of them is used in these interfaces.
            _ => self.line(path, ": another kind of type"),
        }
    }
}

#[cfg(test)]
mod tests;

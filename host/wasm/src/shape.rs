//! What the functions of an interface look like, one line for each field of each type, so that two versions of an
//! interface can be compared and the item that differs be named.
//!
//! Looks at types only: neither code nor memory of the component is touched, and nothing is compiled.

use std::collections::BTreeMap;

use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;

/// Lines of one interface, at most: types can share parts, and the text of a small component could be endless.
const MAX_LINES: usize = 4096;

/// How deep types are followed; the interfaces need 9.
const MAX_DEPTH: usize = 32;

/// The functions of an interface with their lines, such as `request.principal.name: string`, in the order in which they
/// are declared, which matters.
pub(crate) type Shape = BTreeMap<String, Vec<String>>;

/// The functions of an imported or exported instance.
pub(crate) fn shape(types: TypesRef<'_>, entity: &ComponentEntityType) -> Shape {
    let ComponentEntityType::Instance(instance) = entity else { return Shape::new() };
    let Some(instance) = types.get(*instance) else { return Shape::new() };
    let mut room = MAX_LINES;
    let function = |(name, item): (&String, &wasmparser::component_types::ComponentItem)| match item.ty {
        ComponentEntityType::Func(function) => Some((name.clone(), lines(types, function, &mut room))),
        _ => None,
    };
    instance.exports.iter().filter_map(function).collect()
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

fn lines(types: TypesRef<'_>, function: ComponentFuncTypeId, room: &mut usize) -> Vec<String> {
    let mut writer = Writer { types, lines: Vec::new(), room };
    if let Some(function) = types.get(function) {
        for (name, ty) in &function.params {
            writer.write(name, *ty, 0);
        }
        if let Some(result) = function.result {
            writer.write("result", result, 0);
        }
        if function.async_ {
            writer.line("async".to_owned());
        }
    }
    writer.lines
}

struct Writer<'a, 'b> {
    types: TypesRef<'a>,
    lines: Vec<String>,
    room: &'b mut usize,
}

impl Writer<'_, '_> {
    fn line(&mut self, line: String) {
        if let Some(room) = self.room.checked_sub(1) {
            *self.room = room;
            self.lines.push(line);
        }
    }

    fn write(&mut self, path: &str, ty: ComponentValType, depth: usize) {
        let id = match ty {
            ComponentValType::Primitive(primitive) => return self.line(format!("{path}: {primitive}")),
            ComponentValType::Type(id) => id,
        };
        // Without room nothing would be written, but time would be spent.
        if depth > MAX_DEPTH || *self.room == 0 {
            return self.line(format!("{path}: ..."));
        }
        let Some(defined) = self.types.get(id) else { return };
        self.defined(path, defined, depth + 1);
    }

    fn defined(&mut self, path: &str, defined: &ComponentDefinedType, depth: usize) {
        match defined {
            ComponentDefinedType::Primitive(primitive) => self.line(format!("{path}: {primitive}")),
            ComponentDefinedType::Record(record) => {
                self.line(format!("{path}: record"));
                for (name, ty) in &record.fields {
                    self.write(&format!("{path}.{name}"), *ty, depth);
                }
            }
            ComponentDefinedType::Variant(variant) => {
                self.line(format!("{path}: variant"));
                for (name, case) in &variant.cases {
                    self.line(format!("{path}: case {name}"));
                    if let Some(ty) = case.ty {
                        self.write(&format!("{path}.{name}"), ty, depth);
                    }
                }
            }
            ComponentDefinedType::Enum(cases) => {
                self.line(format!("{path}: enum"));
                for name in cases {
                    self.line(format!("{path}: case {name}"));
                }
            }
            ComponentDefinedType::List { element, .. } => self.write(&format!("{path}[]"), *element, depth),
            ComponentDefinedType::Option { ty, .. } => self.write(&format!("{path}?"), *ty, depth),
            ComponentDefinedType::Result { ok, err, .. } => {
                self.line(format!("{path}: result"));
                for (name, ty) in [("ok", ok), ("err", err)] {
                    if let Some(ty) = ty {
                        self.write(&format!("{path}.{name}"), *ty, depth);
                    }
                }
            }
            ComponentDefinedType::Own(_) => self.line(format!("{path}: handle")),
            ComponentDefinedType::Borrow(_) => self.line(format!("{path}: borrowed handle")),
            // None of them is used in these interfaces.
            _ => self.line(format!("{path}: another kind of type")),
        }
    }
}

#[cfg(test)]
mod tests;

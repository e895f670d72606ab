//! Reads typed fields out of JSON (M-2..M-4, M-8..M-10, X-9).
//!
//! `null` is every field's default (M-4). A wrong type, a duplicate and a number out of range are errors that name
//! the field and its place; an unknown field is a warning with the nearest known name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::json::{Member, Tree, Value};
use super::position::{escape, fold};
use crate::decision::{Finding, Severity};
use crate::encoding::decode_base64;

/// Unknown fields beyond this number are counted only: nobody reads more, and the text is a stranger's.
const MAX_WARNINGS: usize = 100;

/// Names longer than this, in characters, are cut where they are shown, and no nearest name is looked for.
const MAX_SHOWN: usize = 100;

/// Bytes of a name that the user chooses: as much as a path may have. Findings repeat the names of what they stand in.
const MAX_NAME_BYTES: usize = 4096;

/// Room is made for so many entries before the first of them was read: it may be wrong, and the text is a stranger's.
const MAX_RESERVED: usize = 1024;

/// Why a field cannot be read.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) pointer: String,
    pub(super) offset: usize,
}

pub(super) type Read<T> = Result<T, Mistake>;

/// A value and the way to it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    tree: Tree<'a>,
    /// Where an error about it is shown: its key, or itself where it has none.
    offset: usize,
    path: Path<'a>,
}

/// The way to a value, written out only when something is wrong.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    token: Token<'a>,
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

/// The warnings of one reading.
#[derive(Default)]
pub(super) struct Warnings {
    findings: Vec<Finding>,
    more: usize,
}

impl<'a> At<'a> {
    pub(super) fn root(tree: Tree<'a>) -> Self {
        Self { tree, offset: tree.node.offset, path: Path { parent: None, token: Token::Root } }
    }

    fn member(&'a self, name: &'a str, member: &Member<'a>) -> At<'a> {
        let path = Path { parent: Some(&self.path), token: Token::Name(name) };
        At { tree: member.value, offset: member.value.node.offset, path }
    }

    fn value(&self) -> &'a Value<'a> {
        &self.tree.node.value
    }

    pub(super) fn is_null(&self) -> bool {
        *self.value() == Value::Null
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.value(), Value::Object(_))
    }

    /// The value itself.
    pub(super) fn tree(&self) -> Tree<'a> {
        self.tree
    }

    /// That no field has another name than these.
    pub(super) fn refuse_unknown(&self, names: &'static [&'static str]) -> Read<()> {
        if !self.is_object() {
            return Ok(());
        }
        let mut members = self.tree.members();
        let Some(member) = members.find(|member| canonical(names, &[], member.key, 0).is_none()) else {
            return Ok(());
        };
        let hint = match nearest(member.key, names) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("known are {}", names.join(", ")),
        };
        let at = self.member(member.key, &member);
        let mistake = at.mistake(format!("unknown field {}; {hint}", clipped(member.key)));
        Err(Mistake { offset: member.offset, ..mistake })
    }

    /// A member somewhere within this value whose name is there twice.
    pub(super) fn duplicate_within(&self, member: &Member<'_>) -> Mistake {
        duplicate(self, member, "is given twice")
    }

    /// Whether it is an object with members.
    pub(super) fn has_members(&self) -> bool {
        matches!(self.value(), Value::Object(within) if *within > 0)
    }

    pub(super) fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), pointer: self.path.pointer(), offset: self.offset }
    }

    fn expected(&self, what: &str) -> Mistake {
        let found = match *self.value() {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.mistake(format!("expected {what}, found {found}"))
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        match *self.value() {
            Value::Bool(value) => Ok(value),
            Value::Null => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// The text itself; `None` for null.
    pub(super) fn optional_text(&self) -> Read<Option<&'a str>> {
        match self.value() {
            Value::String(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(self.expected("a string")),
        }
    }

    pub(super) fn text(&self) -> Read<String> {
        self.optional_text().map(|text| text.unwrap_or_default().to_owned())
    }

    /// A plain integer in the type's range (M-8); `None` for null.
    pub(super) fn optional_integer<T: std::str::FromStr>(&self, range: &str) -> Read<Option<T>> {
        match *self.value() {
            Value::Null => Ok(None),
            Value::Number(raw) => match raw.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.mistake(format!("{} is not {range}", clipped(raw)))),
            },
            _ => Err(self.expected(range)),
        }
    }

    pub(super) fn optional_unsigned(&self) -> Read<Option<u64>> {
        self.optional_integer("an integer from 0 to 18446744073709551615, without fraction or exponent")
    }

    pub(super) fn unsigned(&self) -> Read<u64> {
        self.optional_unsigned().map(Option::unwrap_or_default)
    }

    pub(super) fn optional_u16(&self) -> Read<Option<u16>> {
        self.optional_integer("an integer from 0 to 65535, without fraction or exponent")
    }

    pub(super) fn integer(&self) -> Read<i64> {
        let number = self.optional_integer("an integer of 64 bits, without fraction or exponent")?;
        Ok(number.unwrap_or_default())
    }

    /// Bytes: a base64 string or a list of integers from 0 to 255 (M-9).
    pub(super) fn bytes(&self) -> Read<Vec<u8>> {
        match self.value() {
            Value::String(text) => decode_base64(text).map_err(|error| self.mistake(error.to_string())),
            Value::Array(_) => self.list(|item| {
                let byte = item.optional_integer("an integer from 0 to 255, without fraction or exponent")?;
                Ok(byte.unwrap_or_default())
            }),
            Value::Null => Ok(Vec::new()),
            _ => Err(self.expected("a base64 string or a list of integers from 0 to 255")),
        }
    }

    /// A list; `None` for null.
    pub(super) fn optional_list<T>(&self, read: impl Fn(&At<'_>) -> Read<T>) -> Read<Option<Vec<T>>> {
        let items = match self.value() {
            Value::Array(_) => self.tree.items(),
            Value::Null => return Ok(None),
            _ => return Err(self.expected("a list")),
        };
        let mut values = Vec::with_capacity(items.clone().count().min(MAX_RESERVED));
        for (index, tree) in items.enumerate() {
            let path = Path { parent: Some(&self.path), token: Token::Index(index) };
            values.push(read(&At { tree, offset: tree.node.offset, path })?);
        }
        Ok(Some(values))
    }

    pub(super) fn list<T>(&self, read: impl Fn(&At<'_>) -> Read<T>) -> Read<Vec<T>> {
        self.optional_list(read).map(Option::unwrap_or_default)
    }

    /// Like [`Self::list`], for items that may have unknown fields.
    pub(super) fn list_of_objects<T: Default>(
        &self,
        warnings: &mut Warnings,
        read: impl Fn(&At<'_>, &mut Warnings) -> Read<T>,
    ) -> Read<Vec<T>> {
        let warnings = std::cell::RefCell::new(warnings);
        self.list(|item| read(item, &mut warnings.borrow_mut()))
    }

    pub(super) fn texts(&self) -> Read<Vec<String>> {
        self.list(|item| item.text())
    }

    /// A map from names that the user chose (case-sensitive) to values.
    pub(super) fn map<T>(
        &self,
        warnings: &mut Warnings,
        read: impl Fn(&At<'_>, &mut Warnings) -> Read<T>,
    ) -> Read<BTreeMap<String, T>> {
        let members = match self.value() {
            Value::Object(_) => self.tree.members(),
            Value::Null => return Ok(BTreeMap::new()),
            _ => return Err(self.expected("an object")),
        };
        let repeated = first_repeated(members.clone());
        let mut values = Vec::with_capacity(members.clone().count().min(MAX_RESERVED));
        for (index, member) in members.enumerate() {
            let at = self.member(member.key, &member);
            if member.key.len() > MAX_NAME_BYTES {
                let message = format!(
                    "the name {} is too long: give at most {MAX_NAME_BYTES} bytes",
                    clipped(member.key)
                );
                return Err(Mistake { offset: member.offset, ..at.mistake(message) });
            }
            values.push((member.key.to_owned(), read(&at, warnings)?));
            if repeated == Some(index) {
                return Err(duplicate(&at, &member, "is given twice"));
            }
        }
        // At once: entry by entry each would be searched for.
        Ok(values.into_iter().collect())
    }

    /// One field ahead of the others, for those whose meaning depends on it; `None` where it is missing.
    pub(super) fn ahead<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&At<'_>) -> Read<T>,
    ) -> Read<Option<T>> {
        if !self.is_object() {
            return Ok(None);
        }
        let member = self.tree.members().find(|member| canonical(&[name], &[], member.key, 0).is_some());
        member.map(|member| read(&self.member(name, &member))).transpose()
    }

    /// The fields of an object, in the text's order, each with its canonical name. `ignored` are known fields that
    /// have no effect.
    pub(super) fn fields(
        &self,
        names: &'static [&'static str],
        ignored: &'static [&'static str],
        warnings: &mut Warnings,
        mut take: impl FnMut(&'static str, &At<'_>, &mut Warnings) -> Read<()>,
    ) -> Read<()> {
        let members = match self.value() {
            Value::Object(_) => self.tree.members(),
            Value::Null => return Ok(()),
            _ => return Err(self.expected("an object")),
        };
        let (mut seen, mut next) = (Seen::default(), 0);
        for member in members {
            let known = canonical(names, ignored, member.key, next);
            next = known.map_or(next, |(index, _)| index + 1);
            let at = self.member(known.map_or(member.key, |(_, name)| name), &member);
            if !seen.first(known.map(|(index, _)| index), member.key) {
                return Err(duplicate(
                    &at,
                    &member,
                    "is given twice (field names are the same in either case)",
                ));
            }
            match known {
                Some((index, name)) if index < names.len() => take(name, &at, warnings)?,
                Some(_) => {}
                None => warnings.unknown(&at, member.key, &[names, ignored].concat()),
            }
        }
        Ok(())
    }
}

impl Path<'_> {
    fn pointer(&self) -> String {
        let mut tokens = Vec::new();
        let mut path = Some(self);
        while let Some(here) = path {
            match here.token {
                Token::Root => {}
                Token::Name(name) => tokens.push(escape(name)),
                Token::Index(index) => tokens.push(index.to_string()),
            }
            path = here.parent;
        }
        tokens.iter().rev().fold(String::new(), |pointer, token| pointer + "/" + token)
    }
}

impl Warnings {
    fn unknown(&mut self, at: &At<'_>, name: &str, names: &[&'static str]) {
        if self.findings.len() >= MAX_WARNINGS {
            self.more += 1;
            return;
        }
        self.findings.push(Finding {
            severity: Severity::Warning,
            code: "X-9".to_owned(),
            path: at.path.pointer(),
            message: format!("unknown field {} is ignored", clipped(name)),
            hint: nearest(name, names).map(|known| format!("did you mean {known}?")),
        });
    }

    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        if self.more > 0 {
            self.findings.push(Finding {
                severity: Severity::Warning,
                code: "X-9".to_owned(),
                path: String::new(),
                message: format!("{} more unknown fields are ignored", self.more),
                hint: None,
            });
        }
        self.findings
    }
}

/// A text of the manifest as it is shown: never longer than a line.
pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

fn duplicate(at: &At<'_>, member: &Member<'_>, why: &str) -> Mistake {
    let message = format!("duplicate key: {} {why}; keep one of them", clipped(member.key));
    Mistake { offset: member.offset, ..at.mistake(message) }
}

/// The first member whose name an earlier one has, too.
fn first_repeated<'a>(mut members: impl Iterator<Item = Member<'a>> + Clone) -> Option<usize> {
    // Nothing is repeated in what is sorted, as normalised manifests are.
    if members.clone().is_sorted_by(|one, next| one.key < next.key) {
        return None;
    }
    let mut seen = HashSet::new();
    members.position(|member| !seen.insert(member.key))
}

/// The fields of one object that were met.
#[derive(Default)]
struct Seen {
    known: u64,
    unknown: Option<BTreeSet<String>>,
}

impl Seen {
    fn first(&mut self, known: Option<usize>, key: &str) -> bool {
        let Some(index) = known else { return self.unknown.get_or_insert_default().insert(fold(key)) };
        // A list with more names would have a field that is never taken, and no test that passes.
        let Some(bit) = u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)) else {
            return false;
        };
        let first = self.known & bit == 0;
        self.known |= bit;
        first
    }
}

/// The field that a key names, with its index in both lists together (which have at most 64 names). Exact case is tried
/// first (M-2), and from `next` on: most texts give fields in the lists' order.
fn canonical(
    names: &[&'static str],
    ignored: &[&'static str],
    key: &str,
    next: usize,
) -> Option<(usize, &'static str)> {
    let all = || names.iter().chain(ignored).copied().enumerate();
    let same = |(_, name): &(usize, &str)| is_same(name.as_bytes(), key.as_bytes());
    let alike = |key: &str| all().find(|(_, name)| name.eq_ignore_ascii_case(key));
    all()
        .skip(next)
        .find(same)
        .or_else(|| all().take(next).find(same))
        .or_else(|| if key.is_ascii() { alike(key) } else { alike(&fold(key)) })
}

/// Whether a field's name is the known one. Most of reading is this, and byte by byte it is slow where each step is counted,
/// as in a policy: so in two words, which may overlap.
fn is_same(known: &[u8], name: &[u8]) -> bool {
    fn ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
    }
    known.len() == name.len()
        && match known.len() {
            4..8 => ends::<4>(known, name),
            8..=16 => ends::<8>(known, name),
            _ => known == name,
        }
}

/// The known name that was probably meant.
fn nearest(name: &str, names: &[&'static str]) -> Option<&'static str> {
    if name.len() > MAX_SHOWN {
        return None;
    }
    let name = fold(name);
    let near = |known: &&'static str| strsim::damerau_levenshtein(&name, &fold(known));
    let best = names.iter().min_by_key(|known| near(known))?;
    (near(best) <= best.len() / 3).then_some(*best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ParsedManifest;

    #[test]
    fn names_are_the_same_only_if_every_byte_is() {
        let name: Vec<u8> = (b'A'..=b'z').collect();
        for length in 0..=name.len() {
            let known = &name[..length];
            assert!(is_same(known, known), "{length}");
            for at in 0..length {
                let mut other = known.to_vec();
                other[at] ^= 1;
                assert!(!is_same(known, &other) && !is_same(&other, known), "{length}, {at}");
                assert!(!is_same(known, &known[..at]), "{length}, {at}");
            }
        }
    }

    // M-2
    #[test]
    fn a_field_is_found_wherever_the_search_begins() {
        let (names, ignored) = (&["Type", "SIZE", "size", "Cert"], &["Raw", "Version"]);
        for next in 0..8 {
            for (index, name) in names.iter().chain(ignored).enumerate() {
                assert_eq!(canonical(names, ignored, name, next), Some((index, *name)), "{next}");
            }
            assert_eq!(canonical(names, ignored, "Size", next), Some((1, "SIZE")), "{next}");
            assert_eq!(canonical(names, ignored, "ver\u{17f}ion", next), Some((5, "Version")), "{next}");
            assert_eq!(canonical(names, ignored, "Sizes", next), None, "{next}");
        }
    }

    // X-9
    #[test]
    fn of_a_name_given_twice_and_a_mistake_the_earlier_is_told() {
        let refusal = |roles: &str| {
            let error = ParsedManifest::parse(format!(r#"{{"Roles":{{{roles}}}}}"#).as_bytes()).unwrap_err();
            (error.message, error.position.unwrap().column)
        };
        for (roles, says, column) in [
            (r#""a":{},"a":{}"#, "duplicate key: a", 18),
            (r#""b":{},"a":{},"b":{}"#, "duplicate key: b", 25),
            (r#""b":{},"b":{},"a":1,"a":{}"#, "duplicate key: b", 18),
            (r#""b":{},"a":1,"b":{}"#, "expected an object, found a number", 22),
            (r#""b":{},"b":1"#, "expected an object, found a number", 22),
        ] {
            let (message, at) = refusal(roles);
            assert!(message.starts_with(says), "{roles}: {message}");
            assert_eq!(at, column, "{roles}: {message}");
        }
    }
}

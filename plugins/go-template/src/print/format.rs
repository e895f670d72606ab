//! Go's `Sprintf`: verbs with flags, widths, precisions and argument indexes.

use super::verbs::{self, Spec};
use crate::text::char_at;
use crate::value::{INSPECTED, Rope, Value};

/// Go's bound on widths and precisions.
const MAX_WIDTH: i64 = 1_000_000;

/// Formats values. An encoded secret is taken by a bare `%s` or `%v` only.
pub(crate) fn sprintf(format: &[u8], args: &[Value]) -> Result<Value, String> {
    let mut printer =
        Printer { format, pos: 0, args, next: 0, reordered: false, good: true, out: Rope::default() };
    while let Some(at) = printer.rest().iter().position(|byte| *byte == b'%') {
        let (text, _) = printer.rest().split_at(at);
        printer.out.push_bytes(text);
        printer.pos += at + 1;
        printer.verb()?;
    }
    printer.out.push_bytes(printer.rest());
    printer.report_extra()?;
    Ok(printer.out.into_value())
}

/// One call.
struct Printer<'a> {
    format: &'a [u8],
    pos: usize,
    args: &'a [Value],
    next: usize,
    /// An index was seen: arguments that are left over are not reported.
    reordered: bool,
    /// The current verb's indexes are those of arguments.
    good: bool,
    out: Rope,
}

impl<'a> Printer<'a> {
    fn rest(&self) -> &'a [u8] {
        self.format.get(self.pos..).unwrap_or_default()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let accepted = self.rest().first() == Some(&byte);
        self.pos += usize::from(accepted);
        accepted
    }

    /// Formats one verb, from after its `%`.
    fn verb(&mut self) -> Result<(), String> {
        self.good = true;
        let mut spec = self.flags();
        let mut after_index = self.index();
        if self.accept(b'*') {
            self.starred_width(&mut spec)?;
            after_index = false;
        } else {
            spec.width = self.digits();
            self.good &= !(after_index && spec.width.is_some());
        }
        if self.rest().len() > 1 && self.accept(b'.') {
            self.good &= !after_index;
            after_index = self.index();
            if self.accept(b'*') {
                let precision = self.star()?.and_then(|value| usize::try_from(value).ok());
                if precision.is_none() {
                    self.out.push_bytes(b"%!(BADPREC)");
                }
                spec.precision = precision;
                after_index = false;
            } else {
                spec.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        self.value(&spec)
    }

    fn value(&mut self, spec: &Spec) -> Result<(), String> {
        let Some((letter, width)) = char_at(self.format, self.pos) else {
            self.out.push_bytes(b"%!(NOVERB)");
            return Ok(());
        };
        self.pos += width;
        let taken_as_it_is = matches!(letter, 's' | 'v') && *spec == Spec::default();
        match self.args.get(self.next) {
            _ if letter == '%' => {
                self.out.push_bytes(b"%");
                return Ok(());
            }
            _ if !self.good => {
                self.out.push_bytes(format!("%!{letter}(BADINDEX)").as_bytes());
                return Ok(());
            }
            None => self.out.push_bytes(format!("%!{letter}(MISSING)").as_bytes()),
            Some(Value::Place(reference)) if taken_as_it_is => self.out.push_secret(reference.clone()),
            Some(Value::Fragments(chunks)) if taken_as_it_is => {
                self.out.push_chunks(chunks);
            }
            Some(value) if value.is_plain() => self.out.push_bytes(&verbs::format(spec, letter, value)),
            Some(_) => return Err(INSPECTED.to_owned()),
        }
        self.next += 1;
        Ok(())
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        while let Some(flag) = self.rest().first() {
            match flag {
                b'#' => spec.sharp = true,
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'-' => spec.minus = true,
                b' ' => spec.space = true,
                _ => break,
            }
            self.pos += 1;
        }
        spec
    }

    fn starred_width(&mut self, spec: &mut Spec) -> Result<(), String> {
        let width = self.star()?;
        match width {
            None => self.out.push_bytes(b"%!(BADWIDTH)"),
            Some(negative) if negative < 0 => (spec.minus, spec.zero) = (true, false),
            Some(_) => {}
        }
        spec.width = width.and_then(|width| usize::try_from(width.unsigned_abs()).ok());
        Ok(())
    }

    /// The argument that a `*` stands for; nothing where it is no small number.
    fn star(&mut self) -> Result<Option<i64>, String> {
        let Some(value) = self.args.get(self.next) else { return Ok(None) };
        self.next += 1;
        match value {
            Value::Int(value) if value.abs() <= MAX_WIDTH => Ok(Some(*value)),
            value if value.is_plain() => Ok(None),
            _ => Err(INSPECTED.to_owned()),
        }
    }

    /// A run of digits. Far too many of them end the format, as in Go.
    fn digits(&mut self) -> Option<usize> {
        let mut number: Option<i64> = None;
        while let Some(digit) = self.rest().first().filter(|byte| byte.is_ascii_digit()) {
            if number.is_some_and(|number| number > MAX_WIDTH) {
                self.pos = self.format.len();
                return None;
            }
            number = Some(number.unwrap_or(0) * 10 + i64::from(digit - b'0'));
            self.pos += 1;
        }
        number.and_then(|number| usize::try_from(number).ok())
    }

    /// Reads `[N]`, after which argument N is the next one; true where there was a well-formed index.
    fn index(&mut self) -> bool {
        if self.rest().first() != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let close = self.rest().iter().position(|byte| *byte == b']').filter(|_| self.rest().len() >= 3);
        let Some(close) = close else {
            self.good = false;
            self.pos += 1;
            return false;
        };
        let number = self.rest().get(1..close).unwrap_or_default();
        let number = std::str::from_utf8(number).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let number = number.and_then(|text| text.parse::<usize>().ok());
        self.pos += close + 1;
        match number.and_then(|number| number.checked_sub(1)).filter(|index| *index < self.args.len()) {
            Some(index) => self.next = index,
            None => self.good = false,
        }
        number.is_some()
    }

    fn report_extra(&mut self) -> Result<(), String> {
        let extra = self.args.get(self.next..).unwrap_or_default();
        if self.reordered || extra.is_empty() {
            return Ok(());
        }
        let mut words = Vec::new();
        for value in extra {
            if !value.is_plain() {
                return Err(INSPECTED.to_owned());
            }
            let mut word = match value {
                Value::Nil => Vec::new(),
                _ => format!("{}=", value.type_name()).into_bytes(),
            };
            word.extend_from_slice(&super::display(value));
            words.push(word);
        }
        self.out.push_bytes(b"%!(EXTRA ");
        self.out.push_bytes(&words.join(&b", "[..]));
        self.out.push_bytes(b")");
        Ok(())
    }
}

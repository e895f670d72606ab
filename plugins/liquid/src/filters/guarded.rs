//! The standard filters, which refuse secrets as input and as arguments.

use std::fmt;

use liquid::model::Value;
use liquid::{Error, ParserBuilder, ValueView};
use liquid_core::parser::FilterArguments;
use liquid_core::runtime::Expression;
use liquid_core::{Filter, FilterReflection, ParseFilter, Result, Runtime};
use liquid_lib::stdlib;

use crate::failure::INSPECTED;
use crate::mark::Marks;

/// A parser's builder with the tags, blocks and guarded filters of the standard library.
pub(super) fn standard(marks: Marks) -> ParserBuilder {
    standard_filters().into_iter().fold(ParserBuilder::with_stdlib(), |builder, inner| {
        let guarded: Box<dyn ParseFilter> = Box::new(Guarded { inner, marks });
        builder.filter(guarded)
    })
}

fn standard_filters() -> Vec<Box<dyn ParseFilter>> {
    vec![
        stdlib::Abs.into(),
        stdlib::Append.into(),
        stdlib::AtLeast.into(),
        stdlib::AtMost.into(),
        stdlib::Capitalize.into(),
        stdlib::Ceil.into(),
        stdlib::Compact.into(),
        stdlib::Concat.into(),
        stdlib::Date.into(),
        stdlib::Default.into(),
        stdlib::DividedBy.into(),
        stdlib::Downcase.into(),
        stdlib::Escape.into(),
        stdlib::EscapeOnce.into(),
        stdlib::First.into(),
        stdlib::Floor.into(),
        stdlib::Join.into(),
        stdlib::Last.into(),
        stdlib::Lstrip.into(),
        stdlib::Map.into(),
        stdlib::Minus.into(),
        stdlib::Modulo.into(),
        stdlib::NewlineToBr.into(),
        stdlib::Plus.into(),
        stdlib::Prepend.into(),
        stdlib::Remove.into(),
        stdlib::RemoveFirst.into(),
        stdlib::Replace.into(),
        stdlib::ReplaceFirst.into(),
        stdlib::Reverse.into(),
        stdlib::Round.into(),
        stdlib::Rstrip.into(),
        stdlib::Size.into(),
        stdlib::Slice.into(),
        stdlib::Sort.into(),
        stdlib::SortNatural.into(),
        stdlib::Split.into(),
        stdlib::Strip.into(),
        stdlib::StripHtml.into(),
        stdlib::StripNewlines.into(),
        stdlib::Times.into(),
        stdlib::Truncate.into(),
        stdlib::TruncateWords.into(),
        stdlib::Uniq.into(),
        stdlib::Upcase.into(),
        stdlib::UrlDecode.into(),
        stdlib::UrlEncode.into(),
        stdlib::Where.into(),
    ]
}

/// A filter that is not given secrets.
#[derive(Clone)]
struct Guarded {
    inner: Box<dyn ParseFilter>,
    marks: Marks,
}

impl ParseFilter for Guarded {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let positional: Vec<Expression> = arguments.positional.collect();
        let keyword: Vec<(&str, Expression)> = arguments.keyword.collect();
        let seen = positional.iter().chain(keyword.iter().map(|(_, value)| value)).cloned().collect();
        let arguments = FilterArguments {
            positional: Box::new(positional.into_iter()),
            keyword: Box::new(keyword.into_iter()),
        };
        let is_date = self.inner.reflection().name() == "date";
        Ok(Box::new(GuardedFilter {
            inner: self.inner.parse(arguments)?,
            arguments: seen,
            marks: self.marks,
            is_date,
        }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self.inner.reflection()
    }
}

#[derive(Debug)]
struct GuardedFilter {
    inner: Box<dyn Filter>,
    arguments: Vec<Expression>,
    marks: Marks,
    is_date: bool,
}

impl fmt::Display for GuardedFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

impl Filter for GuardedFilter {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let arguments = self.arguments.iter().filter_map(|argument| argument.try_evaluate(runtime));
        let secret_argument = arguments.into_iter().any(|value| holds_secrets(value.as_view(), self.marks));
        if secret_argument || holds_secrets(input, self.marks) {
            return Err(Error::with_msg(INSPECTED));
        }
        // There is no clock here, and the engine would end the guest.
        if self.is_date && matches!(input.to_kstr().trim().to_lowercase().as_str(), "now" | "today") {
            return Err(Error::with_msg("the current time is not known to templates"));
        }
        self.inner.evaluate(input, runtime)
    }
}

/// Whether a value is a secret, holds one or leads to some.
fn holds_secrets(value: &dyn ValueView, marks: Marks) -> bool {
    if let Some(array) = value.as_array() {
        return array.values().any(|element| holds_secrets(element, marks));
    }
    if let Some(object) = value.as_object() {
        return value.type_name() == "secrets" || object.values().any(|field| holds_secrets(field, marks));
    }
    marks.is_in(value.to_kstr().as_str())
}

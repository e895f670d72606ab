//! The filters: five that say how a secret is written, and the standard ones, which refuse secrets.

mod guarded;

use std::fmt;

use carrara_types::decision::{Encoding, Part, Target};
use liquid::model::Value;
use liquid::{Error, ParserBuilder, ValueView};
use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::{Filter, FilterReflection, ParseFilter, Result, Runtime};

use crate::comment::Comment;
use crate::mark::{Mark, Marks};

/// A parser's builder with the filters of `target`.
pub(crate) fn builder(target: Target, marks: &Marks) -> ParserBuilder {
    let builder = guarded::standard(*marks)
        .block(Comment)
        .filter(Writer { name: "pem", encoding: Encoding::Pem, marks: *marks })
        .filter(Writer { name: "hex", encoding: Encoding::Hex, marks: *marks })
        .filter(Writer { name: "base64", encoding: Encoding::Base64, marks: *marks });
    match target {
        Target::File => builder.filter(Writer { name: "raw", encoding: Encoding::Raw, marks: *marks }),
        Target::Env => builder.filter(Writer { name: "string", encoding: Encoding::Text, marks: *marks }),
    }
}

/// Writes a secret: turns its mark into a place.
#[derive(Debug, Clone)]
struct Writer {
    name: &'static str,
    encoding: Encoding,
    marks: Marks,
}

impl ParseFilter for Writer {
    fn parse(&self, mut arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        if arguments.positional.next().is_some() || arguments.keyword.next().is_some() {
            return Err(Error::with_msg(format!("filter {} takes no arguments", self.name)));
        }
        Ok(Box::new(self.clone()))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

impl FilterReflection for Writer {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &str {
        "Says how a secret is written."
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Filter for Writer {
    fn evaluate(&self, input: &dyn ValueView, _: &dyn Runtime) -> Result<Value> {
        let (mark, kind) = self.handle(input).map_err(Error::with_msg)?;
        let part = self.part(&mark, &kind).map_err(Error::with_msg)?;
        let place = Mark { part, encoding: Some(self.encoding), ..mark };
        Ok(Value::scalar(self.marks.write(&place)))
    }
}

impl Writer {
    /// The secret that the input is, and its kind.
    fn handle(&self, input: &dyn ValueView) -> std::result::Result<(Mark, String), &'static str> {
        if input.is_nil() {
            return Err("tried to parse secret with empty value");
        }
        let object = input.as_object().ok_or("invalid secret type")?;
        let text = object.get(&self.marks.key()).ok_or("invalid secret type")?;
        let mark = self.marks.read(text.to_kstr().as_str()).ok_or("invalid secret type")?;
        let kind = object.get("Type").map(|kind| kind.to_kstr().into_string()).unwrap_or_default();
        Ok((mark, kind))
    }

    /// The part that is written. A bare certificate secret is its certificate in PEM; else a bare secret is its
    /// public part, which for keys and plain secrets is all they are.
    fn part(&self, mark: &Mark, kind: &str) -> std::result::Result<Part, &'static str> {
        match (self.encoding, mark.part) {
            (Encoding::Text, Part::Whole) if kind == "plain" => Ok(Part::Whole),
            (Encoding::Text, _) => {
                Err("only secrets of type plain are allowed to use string encoding for environment variables")
            }
            (Encoding::Pem, Part::Whole) if kind.starts_with("cert-") => Ok(Part::Certificate),
            (Encoding::Pem, Part::Whole) => Err("invalid secret type for pem encoding"),
            (_, Part::Whole) => Ok(Part::Public),
            (_, part) => Ok(part),
        }
    }
}

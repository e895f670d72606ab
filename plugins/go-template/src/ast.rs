//! The syntax tree of a template, which borrows from its text. `Display` is Go's `String()`, which errors quote as `<NODE>`.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use crate::functions::Function;
use crate::text::{Number, text_of};

/// Names with a dot between them, as in the text: fields, perhaps behind a variable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'t>(pub(crate) &'t [u8]);

/// What a list consists of. Positions are offsets into the template's bytes.
#[derive(Debug)]
pub(crate) enum Node<'t> {
    Text { start: usize, end: usize },
    Action(Pipe<'t>),
    If(Box<Branch<'t>>),
    With(Box<Branch<'t>>),
    Range(Box<Branch<'t>>),
    Template(Call<'t>),
    Break,
    Continue,
}

/// `{{template "name" pipe}}`, also what a `{{block}}` leaves behind.
#[derive(Debug)]
pub(crate) struct Call<'t> {
    pub(crate) pos: usize,
    pub(crate) name: Vec<u8>,
    pub(crate) pipe: Option<Pipe<'t>>,
}

/// A condition or loop.
#[derive(Debug)]
pub(crate) struct Branch<'t> {
    pub(crate) pipe: Pipe<'t>,
    pub(crate) body: Vec<Node<'t>>,
    pub(crate) otherwise: Option<Vec<Node<'t>>>,
}

/// Commands joined by `|`, perhaps with declarations.
#[derive(Debug)]
pub(crate) struct Pipe<'t> {
    pub(crate) pos: usize,
    /// `=` and not `:=`.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<Cow<'t, str>>,
    pub(crate) commands: SmallVec<[Command<'t>; 1]>,
}

/// A function or value with its arguments.
#[derive(Debug)]
pub(crate) struct Command<'t> {
    pub(crate) pos: usize,
    pub(crate) args: SmallVec<[Expr<'t>; 2]>,
}

/// An operand.
#[derive(Debug)]
pub(crate) struct Expr<'t> {
    pub(crate) pos: usize,
    pub(crate) kind: ExprKind<'t>,
}

/// A constant, and how it is written. Rare, and kept apart: operands are moved about.
#[derive(Debug)]
pub(crate) struct Literal<'t, T> {
    pub(crate) value: T,
    pub(crate) literal: Cow<'t, str>,
}

/// The kinds of operands.
#[derive(Debug)]
pub(crate) enum ExprKind<'t> {
    Bool(bool),
    Number(Box<Literal<'t, Number>>),
    String(Box<Literal<'t, Vec<u8>>>),
    Dot,
    Nil,
    /// `.a.b`: an empty name, then fields.
    Field(Names<'t>),
    /// `$x.a.b`: the variable's name with its `$`, then fields.
    Variable(Names<'t>),
    /// A function.
    Identifier(&'static Function),
    Pipe(Box<Pipe<'t>>),
    /// `(pipe).a.b`
    Chain(Box<Expr<'t>>, Names<'t>),
}

impl<'t> Names<'t> {
    /// What stands before the first dot: a variable's name, or nothing.
    pub(crate) fn head(self) -> Cow<'t, str> {
        text_of(self.0.split(|byte| *byte == b'.').next().unwrap_or_default())
    }

    /// The names behind the dots.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'t [u8]> {
        self.0.split(|byte| *byte == b'.').skip(1)
    }
}

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text_of(self.0))
    }
}

impl ExprKind<'_> {
    /// Whether a later stage of a pipeline may start with this.
    pub(crate) fn is_executable(&self) -> bool {
        !matches!(self, Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Dot | Self::Nil)
    }
}

impl fmt::Display for Pipe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        join(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.args, " ")
    }
}

impl fmt::Display for Expr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Number(number) => f.write_str(&number.literal),
            ExprKind::String(string) => f.write_str(&string.literal),
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Field(names) | ExprKind::Variable(names) => write!(f, "{names}"),
            ExprKind::Identifier(function) => f.write_str(function.name),
            ExprKind::Pipe(pipe) => write!(f, "({pipe})"),
            ExprKind::Chain(base, names) => {
                write!(f, "{base}{names}")
            }
        }
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", crate::text::quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

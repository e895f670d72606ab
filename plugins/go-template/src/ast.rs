//! The syntax tree of a template. `Display` is Go's `String()`, which errors quote as `<NODE>`.

use std::fmt;

use crate::text::Number;

/// What a list consists of. Positions are offsets into the template's bytes.
#[derive(Debug)]
pub(crate) enum Node {
    Text { start: usize, end: usize },
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break,
    Continue,
}

/// `{{template "name" pipe}}`, also what a `{{block}}` leaves behind.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) pos: usize,
    pub(crate) name: Vec<u8>,
    pub(crate) pipe: Option<Pipe>,
}

/// A condition or loop.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Option<Vec<Node>>,
}

/// Commands joined by `|`, perhaps with declarations.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    /// `=` and not `:=`.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// A function or value with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Expr>,
}

/// An operand.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) pos: usize,
    pub(crate) kind: ExprKind,
}

/// The kinds of operands.
#[derive(Debug)]
pub(crate) enum ExprKind {
    Bool(bool),
    Number {
        value: Number,
        literal: String,
    },
    String {
        value: Vec<u8>,
        literal: String,
    },
    Dot,
    Nil,
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`: the variable's name with its `$`, then fields.
    Variable(Vec<String>),
    /// A function's name.
    Identifier(String),
    Pipe(Box<Pipe>),
    /// `(pipe).a.b`
    Chain(Box<Expr>, Vec<String>),
}

impl ExprKind {
    /// Whether a later stage of a pipeline may start with this.
    pub(crate) fn is_executable(&self) -> bool {
        !matches!(self, Self::Bool(_) | Self::Number { .. } | Self::String { .. } | Self::Dot | Self::Nil)
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        join(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.args, " ")
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Number { literal, .. } | ExprKind::String { literal, .. } => f.write_str(literal),
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            ExprKind::Variable(names) => f.write_str(&names.join(".")),
            ExprKind::Identifier(name) => f.write_str(name),
            ExprKind::Pipe(pipe) => write!(f, "({pipe})"),
            ExprKind::Chain(base, names) => {
                write!(f, "{base}")?;
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
        }
    }
}

impl fmt::Display for Call {
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

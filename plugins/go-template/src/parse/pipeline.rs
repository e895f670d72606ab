//! Pipelines, commands and operands.

use smallvec::SmallVec;

use super::Parser;
use crate::Failure;
use crate::ast::{Command, Expr, ExprKind, Literal, Names, Pipe};
use crate::failure;
use crate::lex::{Kind, Token};
use crate::text::{Number, number, quote, unquote, unquote_char};

impl<'a> Parser<'a> {
    /// Everything up to `end`, which is consumed.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe<'a>, Failure> {
        let pos = self.peek().start;
        let mut pipe = Pipe { pos, assigns: false, variables: Vec::new(), commands: SmallVec::new() };
        while self.declaration(context, &mut pipe)? {}
        loop {
            let token = self.take();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.next -= 1;
                    let command = self.command(token.start)?;
                    pipe.commands.push(command);
                }
                _ => return Err(self.unexpected(token, context)),
            }
        }
    }

    /// Reads `$x :=`, `$x =` or `$x,`; true where another variable must follow.
    fn declaration(&mut self, context: &str, pipe: &mut Pipe<'a>) -> Result<bool, Failure> {
        let variable = self.peek();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        let start = self.next;
        self.take();
        let next = self.peek();
        let comma = next.kind == Kind::Char && self.word(next) == b",";
        if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
            self.next = start;
            return Ok(false);
        }
        self.take();
        pipe.assigns = next.kind == Kind::Assign;
        let name = self.name(variable);
        pipe.variables.push(name.clone());
        self.variables.push(name);
        if !comma {
            return Ok(false);
        }
        if context != "range" || pipe.variables.len() >= 2 {
            return Err(self.error(&format!("too many declarations in {context}")));
        }
        match self.peek().kind {
            Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
            _ => Err(self.error("range can only initialize variables")),
        }
    }

    fn check_pipeline(&self, pipe: &Pipe<'_>, context: &str) -> Result<(), Failure> {
        if pipe.commands.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if command.args.first().is_some_and(|first| !first.kind.is_executable()) {
                return Err(self.error(&format!("non executable command in pipeline stage {}", index + 1)));
            }
        }
        Ok(())
    }

    fn command(&mut self, pos: usize) -> Result<Command<'a>, Failure> {
        let mut command = Command { pos, args: SmallVec::new() };
        loop {
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
                if self.peek().spaced {
                    continue;
                }
            }
            let token = self.take();
            match token.kind {
                Kind::RightDelim | Kind::RightParen => self.next -= 1,
                Kind::Pipe => {}
                _ => return Err(self.unexpected(token, "operand")),
            }
            break;
        }
        if command.args.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(command)
    }

    /// A term and the fields that follow it.
    fn operand(&mut self) -> Result<Option<Expr<'a>>, Failure> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let first = self.peek();
        if !first.follows_as_field() {
            return Ok(Some(term));
        }
        while self.peek().follows_as_field() {
            self.take();
        }
        // Go reports a chain of fields at its second one.
        let pos = first.start;
        let kind = match term.kind {
            ExprKind::Field(_) => ExprKind::Field(self.names(term.pos)),
            ExprKind::Variable(_) => ExprKind::Variable(self.names(term.pos)),
            ExprKind::Pipe(_) | ExprKind::Identifier(_) | ExprKind::Chain(..) => {
                ExprKind::Chain(Box::new(term), self.names(pos))
            }
            _ => {
                // Go has not looked beyond the white space that follows.
                let end = self.token(self.next.saturating_sub(1)).end;
                let text = quote(term.to_string().as_bytes());
                return Err(failure::parsing(self.text, end, &format!("unexpected . after term {text}")));
            }
        };
        Ok(Some(Expr { pos, kind }))
    }

    /// The names from `start` to the end of the token that was taken last.
    fn names(&self, start: usize) -> Names<'a> {
        let end = self.token(self.next.saturating_sub(1)).end;
        Names(self.text.get(start..end).unwrap_or_default())
    }

    fn term(&mut self) -> Result<Option<Expr<'a>>, Failure> {
        let token = self.take();
        let kind = match token.kind {
            Kind::Identifier => {
                let Some(function) = (self.function)(self.word(token)) else {
                    let name = quote(self.name(token).as_bytes());
                    return Err(self.error(&format!("function {name} not defined")));
                };
                ExprKind::Identifier(function)
            }
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Variable => {
                let name = self.name(token);
                if !self.variables.contains(&name) {
                    return Err(self.error(&format!("undefined variable {}", quote(name.as_bytes()))));
                }
                ExprKind::Variable(Names(self.word(token)))
            }
            Kind::Field => ExprKind::Field(Names(self.word(token))),
            Kind::Bool => ExprKind::Bool(self.word(token) == b"true"),
            Kind::CharConstant | Kind::Number => self.number(token)?,
            Kind::String | Kind::RawString => {
                let value = unquote(self.word(token)).ok_or_else(|| self.error("invalid syntax"))?;
                ExprKind::String(Box::new(Literal { value, literal: self.name(token) }))
            }
            Kind::LeftParen => {
                let pipe =
                    self.deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?;
                ExprKind::Pipe(Box::new(pipe))
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Expr { pos: token.start, kind }))
    }

    fn number(&self, token: Token) -> Result<ExprKind<'a>, Failure> {
        let literal = self.name(token);
        if token.kind == Kind::CharConstant {
            let value = unquote_char(self.word(token)).ok_or_else(|| {
                let empty = literal == "''" || literal.starts_with("'\\");
                let cause = format!("malformed character constant: {literal}");
                self.error(if empty { "invalid syntax" } else { &cause })
            })?;
            let value = Number::Int(i64::from(value));
            return Ok(ExprKind::Number(Box::new(Literal { value, literal })));
        }
        let value = number(&literal).filter(|value| *value != Number::TooLarge).ok_or_else(|| {
            // Go's words also for an octal number with a digit that is none.
            let digits = literal.trim_start_matches(['+', '-']);
            let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let cause = if whole { "integer overflow" } else { "illegal number syntax" };
            self.error(&format!("{cause}: {}", quote(literal.as_bytes())))
        })?;
        Ok(ExprKind::Number(Box::new(Literal { value, literal })))
    }
}

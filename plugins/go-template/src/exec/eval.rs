//! Evaluates pipelines, commands, fields and calls.

use std::fmt;

use carrara_types::decision::{Part, Scope};
use smallvec::SmallVec;

use super::State;
use crate::Failure;
use crate::ast::{Command, Expr, ExprKind, Names, Pipe};
use crate::functions::{Arity, Function};
use crate::text::{Number, text_of};
use crate::value::{Handle, INSPECTED, Value};

impl<'a, 't> State<'a, 't, '_> {
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'a Pipe<'t>) -> Result<Value, Failure> {
        self.at(pipe.pos, pipe);
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(dot, command, last)?);
        }
        let value = last.unwrap_or(Value::Nil);
        for variable in &pipe.variables {
            if pipe.assigns {
                self.assign(variable, value.clone())?;
            } else {
                self.variables.push((variable, value.clone()));
            }
        }
        Ok(value)
    }

    /// `last` is the value of the stage before, which becomes the last argument.
    fn command(
        &mut self,
        dot: &Value,
        command: &'a Command<'t>,
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let Some((first, args)) = command.args.split_first() else {
            return Ok(Value::Nil);
        };
        match &first.kind {
            ExprKind::Identifier(function) => {
                self.at(first.pos, first);
                return self.call(dot, function, (command.pos, command), args, last);
            }
            ExprKind::Field(_) | ExprKind::Chain(..) => return self.operand(dot, first, args, last.as_ref()),
            ExprKind::Variable(names) if names.fields().next().is_some() => {
                return self.operand(dot, first, args, last.as_ref());
            }
            ExprKind::Pipe(_) => {}
            _ => self.at(first.pos, first),
        }
        if !args.is_empty() || last.is_some() {
            let shown = match &first.kind {
                ExprKind::Pipe(pipe) => pipe.to_string(),
                _ => first.to_string(),
            };
            return Err(self.fail(format!("can't give argument to non-function {shown}")));
        }
        match &first.kind {
            ExprKind::Nil => Err(self.fail("nil is not a command")),
            ExprKind::Pipe(pipe) => self.pipeline(dot, pipe),
            _ => self.operand(dot, first, &[], None),
        }
    }

    /// An argument, or a command that is no function call.
    fn operand(
        &mut self,
        dot: &Value,
        expr: &'a Expr<'t>,
        args: &'a [Expr<'t>],
        last: Option<&Value>,
    ) -> Result<Value, Failure> {
        self.at(expr.pos, expr);
        let has_args = !args.is_empty() || last.is_some();
        match &expr.kind {
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::Number(number) => match number.value {
                Number::Int(value) => Ok(Value::Int(value)),
                Number::Float(value) => Ok(Value::Float(value)),
                _ => Err(self.fail(format!("{} overflows int", number.literal))),
            },
            ExprKind::String(string) => Ok(Value::bytes(&string.value)),
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Nil => Ok(Value::Nil),
            ExprKind::Identifier(function) => self.call(dot, function, (expr.pos, expr), &[], None),
            ExprKind::Pipe(pipe) => self.pipeline(dot, pipe),
            ExprKind::Field(names) => self.fields(dot.clone(), *names, has_args),
            ExprKind::Variable(names) => {
                let value = self.variable(&names.head())?;
                self.fields(value, *names, has_args)
            }
            ExprKind::Chain(base, names) => {
                let value = self.operand(dot, base, &[], None)?;
                self.fields(value, *names, has_args)
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Value, Failure> {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| self.fail(format!("undefined variable: {name}")))
    }

    fn fields(&self, base: Value, names: Names<'_>, has_args: bool) -> Result<Value, Failure> {
        let mut value = base;
        let mut names = names.fields().peekable();
        while let Some(name) = names.next() {
            let of_map = matches!(value, Value::Secrets(_));
            value = self.field(&value, name)?;
            if has_args && names.peek().is_none() {
                let name = text_of(name);
                let cause = if of_map {
                    format!("{name} is not a method but has arguments")
                } else {
                    format!("{name} has arguments but cannot be invoked as function")
                };
                return Err(self.fail(cause));
            }
        }
        Ok(value)
    }

    fn field(&self, value: &Value, name: &[u8]) -> Result<Value, Failure> {
        let secret = |scope| self.world.secret(scope, &text_of(name));
        let found = match (value, name) {
            (Value::Missing | Value::Nil, _) => Some(Value::Missing),
            (Value::Data, b"Secrets") => Some(Value::Secrets(Scope::Current)),
            (Value::Data, b"Previous") => Some(Value::Previous),
            (Value::Data, b"MarbleRun") => Some(Value::Reserved),
            (Value::Previous, b"Secrets") => Some(Value::Secrets(Scope::Previous)),
            (Value::Secrets(scope), _) => Some(secret(*scope).unwrap_or(Value::Missing)),
            (Value::Reserved, _) => secret(Scope::Reserved),
            (Value::Secret(handle), _) => self.secret_field(handle, name),
            (Value::Part(handle, Part::Certificate), b"Raw") => Some(Value::Der(handle.clone())),
            _ => None,
        };
        found.ok_or_else(|| {
            let name = text_of(name);
            self.fail(format!("can't evaluate field {name} in type {}", value.type_name()))
        })
    }

    /// A field of a secret: its parts, or what is declared of it.
    fn secret_field(&self, handle: &Handle, name: &[u8]) -> Option<Value> {
        let part = |part| Some(Value::Part(handle.clone(), part));
        match name {
            b"Cert" => return part(Part::Certificate),
            b"Public" => return part(Part::Public),
            b"Private" => return part(Part::Private),
            b"Type" | b"Size" | b"Shared" | b"UserDefined" | b"ValidFor" => {}
            _ => return None,
        }
        let info = self.world.info(handle)?;
        Some(match name {
            b"Type" => Value::bytes(&info.kind),
            b"Size" => Value::Int(i64::from(info.size)),
            b"Shared" => Value::Bool(info.shared),
            b"UserDefined" => Value::Bool(info.user_defined),
            _ => Value::Int(i64::from(info.valid_for)),
        })
    }

    /// Calls a function; `node` is what an error of the function is reported at.
    fn call(
        &mut self,
        dot: &Value,
        function: &Function,
        node: (usize, &'a dyn fmt::Display),
        args: &'a [Expr<'t>],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let (name, given) = (function.name, args.len() + usize::from(last.is_some()));
        match function.arity {
            Arity::Exactly(wanted) if given != wanted => {
                return Err(self.fail(format!("wrong number of args for {name}: want {wanted} got {given}")));
            }
            Arity::AtLeast(wanted) if given < wanted => {
                return Err(self.fail(format!(
                    "wrong number of args for {name}: want at least {wanted} got {}",
                    args.len()
                )));
            }
            _ => {}
        }
        if let Some(decisive) = function.short_circuit {
            return self.logic(dot, decisive, args, last);
        }
        let mut values = SmallVec::<[Value; 2]>::new();
        for arg in args {
            values.push(self.operand(dot, arg, &[], None)?);
        }
        if name == "printf" {
            self.check_format(values.first().or(last.as_ref()), args.first())?;
        }
        values.extend(last);
        (function.run)(self.world, &values).map_err(|cause| {
            self.at(node.0, node.1);
            self.fail(format!("error calling {name}: {cause}"))
        })
    }

    /// `and` and `or`: the first value whose truth is `decisive`, else the last one.
    fn logic(
        &mut self,
        dot: &Value,
        decisive: bool,
        args: &'a [Expr<'t>],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let mut value = Value::Nil;
        for arg in args {
            value = self.operand(dot, arg, &[], None)?;
            if self.truth(&value) == decisive {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// The first argument of `printf` must be a string.
    fn check_format(&self, format: Option<&Value>, expr: Option<&Expr<'_>>) -> Result<(), Failure> {
        match (format, expr) {
            (Some(Value::Bytes(_)) | None, _) => Ok(()),
            (Some(value), _) if !value.is_plain() => Err(self.fail(INSPECTED)),
            (Some(Value::Nil), _) => Err(self.fail("cannot assign nil to string")),
            (_, Some(Expr { kind: ExprKind::Bool(_) | ExprKind::Number(_), .. })) => {
                let found = expr.map(ToString::to_string).unwrap_or_default();
                Err(self.fail(format!("expected string; found {found}")))
            }
            (Some(value), _) => {
                let found = value.type_name();
                Err(self.fail(format!("wrong type for value; expected string; got {found}")))
            }
        }
    }
}

//! The names in an expression that mean nothing: variables that are not there, functions that the engine does not know.

use std::collections::BTreeMap;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr};
use cel::{Context, ExecutionError, IdedExpr, Program};

/// The variables that an expression may name, besides the types.
const VARIABLES: [&str; 3] = ["request", "manifest", "current"];

/// The types are values too: `type(x) == int`.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// A name that means nothing.
pub(crate) struct Unknown {
    /// Of its node.
    pub(crate) id: u64,
    /// As written.
    pub(crate) name: String,
    /// What there is.
    pub(crate) hint: &'static str,
}

/// The names that mean nothing, in the order of the text.
pub(crate) fn unknown(program: &Program) -> Vec<Unknown> {
    let mut walk = Walk { bound: Vec::new(), functions: BTreeMap::new(), unknown: Vec::new() };
    walk.expression(program.expression());
    walk.unknown.sort_by_key(|unknown| unknown.id);
    walk.unknown
}

struct Walk {
    /// The variables of the macros around.
    bound: Vec<String>,
    /// Whether the engine knows a function.
    functions: BTreeMap<String, bool>,
    unknown: Vec<Unknown>,
}

impl Walk {
    fn expression(&mut self, expression: &IdedExpr) {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.variable(expression.id, name),
            Expr::Call(call) => {
                self.function(expression.id, &call.func_name);
                call.target.iter().for_each(|target| self.expression(target));
                call.args.iter().for_each(|argument| self.expression(argument));
            }
            Expr::Select(select) => self.expression(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(|element| self.expression(element)),
            Expr::Map(map) => self.entries(&map.entries),
            Expr::Struct(made) => self.entries(&made.entries),
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range);
                self.expression(&comprehension.accu_init);
                let outside = self.bound.len();
                self.bound.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
                self.bound.extend(comprehension.iter_var2.clone());
                self.expression(&comprehension.loop_cond);
                self.expression(&comprehension.loop_step);
                self.expression(&comprehension.result);
                self.bound.truncate(outside);
            }
        }
    }

    fn entries(&mut self, entries: &[IdedEntryExpr]) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.expression(&field.value),
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key);
                    self.expression(&entry.value);
                }
            }
        }
    }

    fn variable(&mut self, id: u64, name: &str) {
        let known = VARIABLES.contains(&name)
            || TYPES.contains(&name)
            || self.bound.iter().any(|bound| bound == name);
        if !known {
            let hint = "the variables are request, manifest and current";
            self.unknown.push(Unknown { id, name: name.to_owned(), hint });
        }
    }

    fn function(&mut self, id: u64, name: &str) {
        if !name.chars().next().is_some_and(|first| first.is_ascii_alphabetic()) {
            return; // an operator
        }
        let known = *self.functions.entry(name.to_owned()).or_insert_with(|| is_function(name));
        if !known {
            let hint = "the functions are those of standard CEL, without time and random numbers";
            self.unknown.push(Unknown { id, name: format!("{name}()"), hint });
        }
    }
}

/// Asks the engine: called without arguments, a function that exists complains of something else.
fn is_function(name: &str) -> bool {
    [format!("{name}()"), format!("''.{name}()")].iter().any(|call| {
        Program::compile(call).is_ok_and(|program| {
            !matches!(program.execute(&Context::default()), Err(ExecutionError::UndeclaredReference(_)))
        })
    })
}

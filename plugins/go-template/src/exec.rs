//! Executes a syntax tree, as Go's text/template does.
//!
//! Secrets are looked up when the template names them, so the cost of a rendering does not grow with the number of
//! secrets unless the template itself ranges over them. Bodies nest at most [`MAX_DEPTH`] deep.

mod eval;

use std::fmt;
use std::rc::Rc;

use carrara_plugin_support::secrets::Secrets;
use carrara_types::decision::{Chunk, Part, Scope, SecretInfo};

use crate::Failure;
use crate::ast::{Branch, Call, Node, Pipe};
use crate::failure::{self, TEMPLATE_NAME};
use crate::parse::Trees;
use crate::text::quote;
use crate::value::{Handle, INSPECTED, Rope, Value};

/// How deep bodies may nest while executing, templates that call themselves included: this recursion uses the
/// guest's stack.
const MAX_DEPTH: usize = 100;

/// Executes the template `data` of `trees`.
pub(crate) fn execute(text: &[u8], trees: &Trees<'_>, secrets: &dyn Secrets) -> Result<Vec<Chunk>, Failure> {
    let world = World { text, trees, secrets };
    let name = TEMPLATE_NAME.as_bytes();
    let Some(body) = trees.get(name) else {
        return Ok(Vec::new());
    };
    let mut out = Rope::with_capacity(body.len());
    let mut state = State::new(&world, name, 0, &mut out, Value::Data);
    state.walk_list(&Value::Data, body)?;
    Ok(out.into_chunks())
}

/// What stays the same during one execution.
pub(crate) struct World<'a, 't> {
    text: &'a [u8],
    trees: &'a Trees<'t>,
    pub(crate) secrets: &'a dyn Secrets,
}

impl World<'_, '_> {
    /// A secret by name; `None` where it does not exist.
    pub(crate) fn secret(&self, scope: Scope, name: &str) -> Option<Value> {
        self.secrets.find(scope, name).map(|name| Value::Secret(Handle { scope, name }))
    }

    /// What may be known of a secret: asked for by those templates only that look at it.
    pub(crate) fn info(&self, handle: &Handle) -> Option<Rc<SecretInfo>> {
        self.secrets.lookup(handle.scope, &handle.name)
    }

    /// Whether a part of a secret is set.
    pub(crate) fn has(&self, handle: &Handle, part: Part) -> bool {
        self.info(handle).is_some_and(|info| info.parts.contains(&part))
    }

    /// All names, in the order in which Go ranges over a map.
    pub(crate) fn names(&self, scope: Scope) -> Vec<String> {
        let mut names = self.secrets.names(scope);
        names.sort_unstable();
        names
    }
}

/// What a body did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Done,
    Break,
    Continue,
}

/// The part of the tree that errors are reported at.
#[derive(Clone, Copy)]
struct At<'a> {
    pos: usize,
    node: &'a dyn fmt::Display,
    /// Shown with its braces.
    action: bool,
}

/// One template being executed.
struct State<'a, 't, 'o> {
    world: &'a World<'a, 't>,
    template: &'a [u8],
    depth: usize,
    out: &'o mut Rope,
    variables: Vec<(&'a str, Value)>,
    at: Option<At<'a>>,
}

impl<'a, 't, 'o> State<'a, 't, 'o> {
    fn new(
        world: &'a World<'a, 't>,
        template: &'a [u8],
        depth: usize,
        out: &'o mut Rope,
        data: Value,
    ) -> Self {
        Self { world, template, depth, out, variables: vec![("$", data)], at: None }
    }

    fn at(&mut self, pos: usize, node: &'a dyn fmt::Display) {
        self.at = Some(At { pos, node, action: false });
    }

    fn fail(&self, cause: impl AsRef<str>) -> Failure {
        let (pos, node) = match self.at {
            None => (0, String::new()),
            Some(at) if at.action => (at.pos, format!("{{{{{}}}}}", at.node)),
            Some(at) => (at.pos, at.node.to_string()),
        };
        failure::executing(self.world.text, pos, self.template, &node, cause.as_ref())
    }

    fn walk_list(&mut self, dot: &Value, list: &'a [Node<'t>]) -> Result<Flow, Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(self.fail(format!("exceeded maximum template depth ({MAX_DEPTH})")));
        }
        self.depth += 1;
        for node in list {
            let flow = self.walk(dot, node)?;
            if flow != Flow::Done {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::Done)
    }

    fn walk(&mut self, dot: &Value, node: &'a Node<'t>) -> Result<Flow, Failure> {
        match node {
            Node::Text { start, end } => {
                self.out.push_bytes(self.world.text.get(*start..*end).unwrap_or_default());
            }
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.print(pipe, value)?;
                }
            }
            Node::If(branch) => return self.condition(dot, branch, false),
            Node::With(branch) => return self.condition(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(call) => self.call_template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Done)
    }

    fn print(&mut self, pipe: &'a Pipe<'t>, value: Value) -> Result<(), Failure> {
        self.at = Some(At { pos: pipe.pos, node: pipe, action: true });
        match value {
            Value::Place(reference) => self.out.push_secret(reference),
            Value::Fragments(chunks) => self.out.push_chunks(&chunks),
            // Go prints `<no value>` for what is missing (S-74).
            Value::Nil => return Err(self.fail(INSPECTED)),
            plain if plain.is_plain() => self.out.push_bytes(&crate::print::display(&plain)),
            _ => return Err(self.fail(INSPECTED)),
        }
        Ok(())
    }

    fn condition(&mut self, dot: &Value, branch: &'a Branch<'t>, moves_dot: bool) -> Result<Flow, Failure> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if self.truth(&value) {
            self.walk_list(if moves_dot { &value } else { dot }, &branch.body)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.walk_list(dot, otherwise)?
        } else {
            Flow::Done
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn truth(&self, value: &Value) -> bool {
        crate::functions::truth(self.world, value)
    }

    fn range(&mut self, dot: &Value, branch: &'a Branch<'t>) -> Result<Flow, Failure> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let mut ran = false;
        match value {
            Value::Missing | Value::Nil => {}
            Value::Secrets(scope) => {
                for name in self.world.names(scope) {
                    ran = true;
                    let element = self.world.secret(scope, &name).unwrap_or(Value::Missing);
                    if self.iterate(branch, Value::bytes(&name), element)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Int(count) => {
                if branch.pipe.variables.len() > 1 {
                    return Err(
                        self.fail(format!("can't use {count} to iterate over more than one variable"))
                    );
                }
                for index in 0..count {
                    ran = true;
                    if self.iterate(branch, Value::Int(index), Value::Int(index))? == Flow::Break {
                        break;
                    }
                }
            }
            value if value.is_plain() => {
                let text = String::from_utf8_lossy(&crate::print::display(&value)).into_owned();
                return Err(self.fail(format!("range can't iterate over {text}")));
            }
            _ => return Err(self.fail(INSPECTED)),
        }
        let mut flow = Flow::Done;
        if let (false, Some(otherwise)) = (ran, &branch.otherwise) {
            flow = self.walk_list(dot, otherwise)?;
        }
        self.variables.truncate(mark);
        // In Go a break in the `else` part ends this loop and not the one around it.
        Ok(if flow == Flow::Break { Flow::Done } else { flow })
    }

    /// Runs a loop's body once. With one variable it is the element, with two the first one is the index.
    fn iterate(&mut self, branch: &'a Branch<'t>, index: Value, element: Value) -> Result<Flow, Failure> {
        let mark = self.variables.len();
        let (first, second) = match branch.pipe.variables.as_slice() {
            [] => (None, None),
            [only] => (Some((only, &element)), None),
            [first, second, ..] => (Some((first, &index)), Some((second, &element))),
        };
        for (name, value) in [first, second].into_iter().flatten() {
            self.assign(name, value.clone())?;
        }
        let flow = self.walk_list(&element, &branch.body)?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), Failure> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.fail(format!("undefined variable: {name}"))),
        }
    }

    fn call_template(&mut self, dot: &Value, call: &'a Call<'t>) -> Result<(), Failure> {
        self.at(call.pos, call);
        let Some((name, body)) = self.world.trees.get_key_value(&call.name) else {
            return Err(self.fail(format!("template {} not defined", quote(&call.name))));
        };
        let data = match &call.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Nil,
        };
        self.at(call.pos, call);
        if self.depth >= MAX_DEPTH {
            return Err(self.fail(format!("exceeded maximum template depth ({MAX_DEPTH})")));
        }
        let mut state = State::new(self.world, name, self.depth, self.out, data.clone());
        state.walk_list(&data, body)?;
        Ok(())
    }
}

//! Builds the syntax tree of a template and of those it defines. Errors have Go's texts and lines.
//!
//! Blocks and parentheses nest at most [`MAX_DEPTH`] deep: the parser and the executor recurse, and the stack of a
//! guest is small.

mod pipeline;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::Failure;
use crate::ast::{Branch, Call, Node};
use crate::failure::{self, TEMPLATE_NAME, place};
use crate::functions::Function;
use crate::lex::{Keyword, Kind, Token, Tokens, tokens};
use crate::text::{quote, text_of, unquote};

/// How deep blocks and parentheses may nest. Real templates stay below 10.
const MAX_DEPTH: usize = 64;

/// Room for so many nodes at first.
const FIRST_NODES: usize = 64;

/// The templates of one text by name; the text itself is `data`.
pub(crate) type Trees<'t> = BTreeMap<Vec<u8>, Vec<Node<'t>>>;

/// Parses `text`. `function` finds functions by name.
pub(crate) fn parse(
    text: &[u8],
    function: fn(&[u8]) -> Option<&'static Function>,
) -> Result<Trees<'_>, Failure> {
    let mut parser = Parser {
        text,
        tokens: tokens(text),
        next: 0,
        furthest: 0,
        function,
        variables: vec![Cow::Borrowed("$")],
        range_depth: 0,
        depth: 0,
        action_at: None,
        trees: Trees::new(),
    };
    let root = parser.root()?;
    parser.add_tree(TEMPLATE_NAME.as_bytes().to_vec(), root)?;
    Ok(parser.trees)
}

/// How a list of nodes ended.
enum Ending {
    End,
    /// The keyword after `else`, if it starts another condition.
    Else(Option<Keyword>),
}

/// What one step found in the text.
enum Item<'t> {
    Node(Node<'t>),
    Ending(Ending),
}

struct Parser<'a> {
    text: &'a [u8],
    tokens: Tokens,
    next: usize,
    /// The last token that was looked at: errors are reported at its line.
    furthest: usize,
    function: fn(&[u8]) -> Option<&'static Function>,
    variables: Vec<Cow<'a, str>>,
    range_depth: usize,
    depth: usize,
    /// Where the action that is being parsed started.
    action_at: Option<usize>,
    trees: Trees<'a>,
}

impl<'a> Parser<'a> {
    fn take(&mut self) -> Token {
        let token = self.token(self.next);
        self.furthest = self.furthest.max(self.next);
        self.next += 1;
        token
    }

    /// What follows the last token is the last token again.
    fn token(&self, index: usize) -> Token {
        const NONE: Token = Token { kind: Kind::Eof, spaced: false, start: 0, end: 0 };
        self.tokens.list.get(index).or(self.tokens.list.last()).copied().unwrap_or(NONE)
    }

    fn peek(&mut self) -> Token {
        let token = self.take();
        self.next -= 1;
        token
    }

    fn word(&self, token: Token) -> &'a [u8] {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn name(&self, token: Token) -> Cow<'a, str> {
        text_of(self.word(token))
    }

    fn error(&self, cause: &str) -> Failure {
        failure::parsing(self.text, self.token(self.furthest).start, cause)
    }

    fn unexpected(&self, token: Token, context: &str) -> Failure {
        if token.kind != Kind::Error {
            return self.error(&format!("unexpected {} in {context}", self.describe(token)));
        }
        let message = &self.tokens.error;
        let (line, _) = place(self.text, token.start);
        let started = self.action_at.map(|pos| place(self.text, pos).0).filter(|started| *started != line);
        let extra = started.map(|started| {
            let action = if message.ends_with(" action") { "" } else { " in action" };
            format!("{action} started at {TEMPLATE_NAME}:{started}")
        });
        self.error(&format!("{message}{}", extra.unwrap_or_default()))
    }

    /// A token as Go's errors show it.
    fn describe(&self, token: Token) -> String {
        let word = self.word(token);
        match token.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.tokens.error.clone(),
            Kind::Keyword(_) | Kind::Dot | Kind::Nil => format!("<{}>", self.name(token)),
            _ if word.len() > 10 => {
                let short: String = String::from_utf8_lossy(word).chars().take(10).collect();
                format!("{}...", quote(short.as_bytes()))
            }
            _ => quote(word),
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token, Failure> {
        let token = self.take();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(&format!("blocks or parentheses nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn root(&mut self) -> Result<Vec<Node<'a>>, Failure> {
        // An action has seven tokens or more, with the text before it.
        let mut nodes = Vec::with_capacity((self.tokens.list.len() / 4).min(FIRST_NODES));
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Eof => return Ok(nodes),
                Kind::LeftDelim if self.is_definition() => {
                    self.take();
                    self.take();
                    self.definition()?;
                    continue;
                }
                _ => {}
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(ending) => return Err(self.error(&format!("unexpected {}", ending.text()))),
            }
        }
    }

    /// Whether the action that begins here is a definition.
    fn is_definition(&self) -> bool {
        self.token(self.next + 1).kind == Kind::Keyword(Keyword::Define)
    }

    fn definition(&mut self) -> Result<(), Failure> {
        let context = "define clause";
        let token = self.take();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(token, context));
        }
        let name = self.template_name(token, context)?;
        self.expect(Kind::RightDelim, context)?;
        self.separate_template(name, context)
    }

    /// The body of a `{{define}}` or `{{block}}`: variables and loops outside are not seen in it.
    fn separate_template(&mut self, name: Vec<u8>, context: &str) -> Result<(), Failure> {
        let variables = std::mem::replace(&mut self.variables, vec![Cow::Borrowed("$")]);
        let range_depth = std::mem::take(&mut self.range_depth);
        let (body, ending) = self.list()?;
        if let Ending::Else(_) = ending {
            return Err(self.error(&format!("unexpected {} in {context}", ending.text())));
        }
        self.variables = variables;
        self.range_depth = range_depth;
        self.add_tree(name, body)
    }

    /// A template that is empty but for white space may be defined again.
    fn add_tree(&mut self, name: Vec<u8>, body: Vec<Node<'a>>) -> Result<(), Failure> {
        match self.trees.get(&name) {
            Some(old) if !self.is_empty(old) => {
                if self.is_empty(&body) {
                    return Ok(());
                }
                Err(self.error(&format!("template: multiple definition of template {}", quote(&name))))
            }
            _ => {
                self.trees.insert(name, body);
                Ok(())
            }
        }
    }

    fn is_empty(&self, body: &[Node<'_>]) -> bool {
        body.iter().all(|node| match node {
            Node::Text { start, end } => {
                self.text.get(*start..*end).unwrap_or_default().trim_ascii().is_empty()
            }
            _ => false,
        })
    }

    fn list(&mut self) -> Result<(Vec<Node<'a>>, Ending), Failure> {
        self.deeper(|parser| {
            let mut nodes = Vec::new();
            while parser.peek().kind != Kind::Eof {
                match parser.item()? {
                    Item::Node(node) => nodes.push(node),
                    Item::Ending(ending) => return Ok((nodes, ending)),
                }
            }
            Err(parser.error("unexpected EOF"))
        })
    }

    fn item(&mut self) -> Result<Item<'a>, Failure> {
        let token = self.take();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text { start: token.start, end: token.end })),
            Kind::LeftDelim => {
                self.action_at = Some(token.start);
                let item = self.action()?;
                self.action_at = None;
                Ok(item)
            }
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item<'a>, Failure> {
        let token = self.take();
        let Kind::Keyword(keyword) = token.kind else {
            self.next -= 1;
            return Ok(Item::Node(Node::Action(self.pipeline("command", Kind::RightDelim)?)));
        };
        let node = match keyword {
            Keyword::Block => self.block()?,
            Keyword::Break => {
                self.loop_control("{{break}}")?;
                Node::Break
            }
            Keyword::Continue => {
                self.loop_control("{{continue}}")?;
                Node::Continue
            }
            Keyword::If => Node::If(Box::new(self.branch("if", Keyword::If)?)),
            Keyword::With => Node::With(Box::new(self.branch("with", Keyword::With)?)),
            Keyword::Range => Node::Range(Box::new(self.branch("range", Keyword::Range)?)),
            Keyword::Template => Node::Template(self.template_call()?),
            Keyword::Else => return self.otherwise(),
            Keyword::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            // A definition is no part of a list (Go: only at the top level).
            Keyword::Define => return Err(self.unexpected(token, "command")),
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, context: &str) -> Result<(), Failure> {
        self.expect(Kind::RightDelim, context)?;
        if self.range_depth == 0 {
            return Err(self.error(&format!("{context} outside {{{{range}}}}")));
        }
        Ok(())
    }

    fn otherwise(&mut self) -> Result<Item<'a>, Failure> {
        if let Kind::Keyword(keyword @ (Keyword::If | Keyword::With)) = self.peek().kind {
            return Ok(Item::Ending(Ending::Else(Some(keyword))));
        }
        self.expect(Kind::RightDelim, "else")?;
        Ok(Item::Ending(Ending::Else(None)))
    }

    fn branch(&mut self, context: &'static str, keyword: Keyword) -> Result<Branch<'a>, Failure> {
        let known = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let in_range = usize::from(keyword == Keyword::Range);
        self.range_depth += in_range;
        let (body, ending) = self.list()?;
        self.range_depth -= in_range;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else(Some(next)) if next == keyword => {
                self.take();
                let nested = Box::new(self.deeper(|parser| parser.branch(context, keyword))?);
                let nested = if keyword == Keyword::If { Node::If(nested) } else { Node::With(nested) };
                Some(vec![nested])
            }
            Ending::Else(_) => {
                let (nodes, ending) = self.list()?;
                if let Ending::Else(_) = ending {
                    return Err(self.error(&format!("expected end; found {}", ending.text())));
                }
                Some(nodes)
            }
        };
        self.variables.truncate(known);
        Ok(Branch { pipe, body, otherwise })
    }

    fn block(&mut self) -> Result<Node<'a>, Failure> {
        let context = "block clause";
        let token = self.take();
        let name = self.template_name(token, context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.separate_template(name.clone(), context)?;
        Ok(Node::Template(Call { pos: token.start, name, pipe: Some(pipe) }))
    }

    fn template_call(&mut self) -> Result<Call<'a>, Failure> {
        let context = "template clause";
        let token = self.take();
        let name = self.template_name(token, context)?;
        let pipe = if self.take().kind == Kind::RightDelim {
            None
        } else {
            self.next -= 1;
            Some(self.pipeline(context, Kind::RightDelim)?)
        };
        Ok(Call { pos: token.start, name, pipe })
    }

    fn template_name(&mut self, token: Token, context: &str) -> Result<Vec<u8>, Failure> {
        match token.kind {
            Kind::String | Kind::RawString => {
                unquote(self.word(token)).ok_or_else(|| self.error("invalid syntax"))
            }
            _ => Err(self.unexpected(token, context)),
        }
    }
}

impl Ending {
    fn text(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else(_) => "{{else}}",
        }
    }
}

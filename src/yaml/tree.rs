//! Parses YAML into a tree whose nodes know their places in the text.
//!
//! The tree follows the core schema of YAML 1.2, with few surprises: `no` is text, a key is always a word, an alias
//! is a copy of what it names, and merge keys and tags (except `!!str`) are refused.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Path, Problem, problem::List, syntax};

/// Maximum nesting depth of mappings and lists.
const MAX_DEPTH: usize = 32;
/// Maximum number of values in a file, with aliases counted as what they stand for.
const MAX_NODES: usize = 200_000;
/// Maximum length of their text, in bytes. It is limited because an alias may stand for much of the file.
const MAX_TEXT: usize = 4 << 20;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its place, in bytes of the text.
    pub span: Range<usize>,
    /// The value.
    pub value: Value,
}

/// The value of a [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// `- item` or `[item, …]`.
    List(Vec<Node>),
    /// `key: value` or `{key: value, …}`, in the order of the file, without duplicate keys.
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key, as written.
    pub key: String,
    /// The place of the key, in bytes of the text.
    pub key_span: Range<usize>,
    /// Its value.
    pub value: Node,
}

/// Returns the tree of a text and what is wrong with it. If there is no tree, the error is what is wrong.
pub(super) fn build(text: &str) -> Result<(Node, List), List> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        offsets: text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        text,
        path: Path::default(),
        anchors: HashMap::new(),
        brackets: Vec::new(),
        last: 0,
        amount: Amount::default(),
        problems: List::default(),
    };
    match builder.document() {
        Ok(root) => Ok((root, builder.problems)),
        Err(fatal) => {
            builder.problems.keep(fatal);
            Err(builder.problems)
        }
    }
}

/// A number of values, and of bytes of text in them and their keys.
#[derive(Clone, Copy, Default)]
struct Amount {
    nodes: usize,
    text: usize,
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Where each character begins, in bytes: the parser counts characters.
    offsets: Vec<usize>,
    text: &'a str,
    path: Path,
    /// What each anchor names, with its amount.
    anchors: HashMap<usize, (Node, Amount)>,
    /// The places of the open brackets, in bytes.
    brackets: Vec<usize>,
    /// Where the last event ended, in bytes. The parser may have read further without reporting an event.
    last: usize,
    amount: Amount,
    problems: List,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Err(self.problem(0..0, "the file is empty")),
                (event, span) => break self.node(event, span, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) => {
                    return Err(self.problem(span, "a second document").expected("one document a file"));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Range<usize>, depth: usize) -> Result<Node, Problem> {
        let before = self.amount;
        let text = if let Event::Scalar(text, ..) = &event { text.len() } else { 0 };
        self.count(Amount { nodes: 1, text }, &span)?;
        if depth > MAX_DEPTH {
            let problem = self.problem(span, "too deep");
            return Err(problem.expected(format!("at most {MAX_DEPTH} levels")));
        }
        let (value, anchor, end) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(text, style, tag.as_deref(), &span)?;
                (value, anchor, span.end)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(tag.as_deref(), &span);
                let (items, end) = self.within(&span, |builder| builder.list(depth))?;
                (Value::List(items), anchor, end)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(tag.as_deref(), &span);
                let (entries, end) = self.within(&span, |builder| builder.map(depth))?;
                (Value::Map(entries), anchor, end)
            }
            Event::Alias(anchor) => {
                // The parser reports unknown names. An anchor that is missing here is still being read: the alias is
                // inside it.
                let Some(amount) = self.anchors.get(&anchor).map(|(_, amount)| *amount) else {
                    return Err(self.problem(span, "an alias inside of what it names"));
                };
                self.count(amount, &span)?;
                let value = self.anchors.get(&anchor).map_or(Value::Null, |(node, _)| node.value.clone());
                (value, 0, span.end)
            }
            _ => return Err(self.problem(span, "expected a value")),
        };
        let node = Node { span: span.start..end.max(span.start), value };
        if anchor > 0 {
            let Amount { nodes, text } = self.amount;
            let amount = Amount { nodes: nodes - before.nodes, text: text - before.text };
            self.count(amount, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), amount));
        }
        Ok(node)
    }

    /// Reads the content of a list or a mapping that begins there, perhaps with a bracket.
    fn within<T>(&mut self, span: &Range<usize>, read: impl FnOnce(&mut Self) -> T) -> T {
        let open = self.brackets.len();
        self.brackets.extend(self.text[span.start..].starts_with(['[', '{']).then_some(span.start));
        let read = read(self);
        self.brackets.truncate(open);
        read
    }

    fn list(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Problem> {
        let parent = self.path.clone();
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                self.path = parent;
                return Ok((items, span.start));
            }
            self.path = parent.index(items.len());
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), Problem> {
        let parent = self.path.clone();
        let mut entries = Vec::new();
        let mut seen = HashMap::new();
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                self.path = parent;
                return Ok((entries, key_span.start));
            }
            let Event::Scalar(key, style, anchor, _) = event else {
                return Err(self.problem(key_span, "a key that is not a word").expected("`key: value`"));
            };
            self.path = parent.key(&key);
            self.count(Amount { nodes: 0, text: key.len() }, &key_span)?;
            if anchor > 0 {
                let value =
                    if style == ScalarStyle::Plain { plain(&key) } else { Value::Text(key.to_string()) };
                let amount = Amount { nodes: 1, text: key.len() };
                self.anchors.insert(anchor, (Node { span: key_span.clone(), value }, amount));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if key == "<<" && style == ScalarStyle::Plain {
                let message = "a merge key, which YAML 1.2 no longer has";
                self.wrong(key_span, || message.into(), "the keys themselves");
            } else if let Some(first) = seen.insert(key.to_string(), key_span.start) {
                let line = || 1 + self.text[..first].matches('\n').count();
                self.wrong(key_span, || format!("a second time, after line {}", line()), "each key once");
            } else {
                entries.push(Entry { key: key.into_owned(), key_span, value });
            }
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Range<usize>,
    ) -> Result<Value, Problem> {
        if text.contains('\0') {
            return Err(self.problem(span.clone(), "a character of code 0"));
        }
        let is_text = tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
        if !is_text {
            self.refuse(tag, span);
        }
        Ok(if is_text || style != ScalarStyle::Plain { Value::Text(text.into_owned()) } else { plain(&text) })
    }

    /// Tags make other programs build objects; here they mean nothing, except `!!str`.
    fn refuse(&mut self, tag: Option<&Tag>, span: &Range<usize>) {
        if let Some(tag) = tag {
            self.wrong(span.clone(), || format!("a tag: `{tag}`"), "no tags");
        }
    }

    fn wrong(&mut self, span: Range<usize>, message: impl FnOnce() -> String, expected: &str) {
        let path = &self.path;
        self.problems.add(|| Problem::new(span, path.clone(), message()).expected(expected));
    }

    fn count(&mut self, more: Amount, span: &Range<usize>) -> Result<(), Problem> {
        self.amount.nodes += more.nodes;
        self.amount.text += more.text;
        let (message, most) = if self.amount.nodes > MAX_NODES {
            ("too many values", format!("at most {MAX_NODES}"))
        } else if self.amount.text > MAX_TEXT {
            ("too much text", format!("at most {} MiB", MAX_TEXT >> 20))
        } else {
            return Ok(());
        };
        let problem = self.problem(span.clone(), message);
        Err(problem.expected(format!("{most}, aliases counted as what they name")))
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.bytes(span);
                self.last = span.end;
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let byte = |index: usize| self.offsets[index.min(self.offsets.len() - 1)];
        byte(span.start.index())..byte(span.end.index().max(span.start.index()))
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = self.bytes(Span::empty(*error.marker())).start;
        let bracket = self.brackets.last().copied();
        syntax::Stop { text: self.text, at, last: self.last, info: error.info(), bracket }.explain(&self.path)
    }

    fn problem(&self, span: Range<usize>, message: impl std::fmt::Display) -> Problem {
        Problem::new(span, self.path.clone(), message)
    }
}

/// The value of an unquoted word by the core schema of YAML 1.2.
pub(super) fn plain(text: &str) -> Value {
    let int = || match text.get(..2) {
        Some("0x") => i64::from_str_radix(&text[2..], 16).ok(),
        Some("0o") => i64::from_str_radix(&text[2..], 8).ok(),
        _ => text.parse().ok(),
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    // Rust also parses `inf` and `nan`, which are words here.
    let float = || text.parse().ok().filter(|_| text.bytes().any(|b| b.is_ascii_digit()));
    match (int(), float()) {
        (Some(int), _) => Value::Int(int),
        (None, Some(float)) if f64::is_finite(float) => Value::Float(float),
        _ => Value::Text(text.to_owned()),
    }
}

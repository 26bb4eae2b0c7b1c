//! Files that people write: YAML, read so that every mistake is shown where it is.
//!
//! A file goes through three steps. Each adds to one list of problems, so that a user sees everything at once:
//!
//! 1. The text becomes a tree of [`Node`]s that know their places ([`Document::parse`]).
//! 2. The tree is checked against the JSON schema of a type, the one that editors use, and becomes a value of that
//!    type ([`Document::resolve`]).
//! 3. The type's owner adds the problems that no schema can express ([`Document::value`], [`Document::key`]).
//!
//! Nothing outside this module knows which libraries it uses.

mod check;
mod path;
mod problem;
mod schema;
mod syntax;
mod text;
mod tree;
mod wording;

use std::{fmt::Display, io::Read, path::Path as FilePath, sync::Arc};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_yaml::with::singleton_map_recursive;

use crate::{Error, Result, error::Context, own};

pub use path::{Path, Step};
use problem::List;
pub use problem::{Problem, Problems};
pub(crate) use text::bind;
pub use text::{Bind, Text, Values};
pub use tree::{Entry, Node, Value};

/// Maximum length of a file, in bytes. Longer ones are refused.
pub const MAX_BYTES: usize = 1 << 20;

/// A YAML file, with the place of everything in it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's name, as messages show it.
    pub name: String,
    /// Its text, without a byte-order mark.
    pub text: Arc<str>,
    root: Node,
    /// Mistakes in the YAML itself that still left a tree, e.g. a duplicate key.
    problems: List,
}

impl Document {
    /// Reads and parses a file.
    pub fn read(path: &FilePath) -> Result<Self> {
        let mut bytes = Vec::new();
        // A byte-order mark and one byte more are enough for `parse` to refuse a longer file.
        let limit = MAX_BYTES as u64 + 4;
        let read = own::open_named(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        read.or_usage(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(&path.display().to_string(), &bytes)?)
    }

    /// Parses a file's bytes. Fails only if they cannot become a tree.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        if bytes.len() > MAX_BYTES {
            let problem = Problem::new(0..0, Path::default(), "the file is too long")
                .expected(format!("at most {} KiB", MAX_BYTES >> 10));
            return Err(Problems::new(name, "".into(), problem.into()));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let at = e.valid_up_to();
            let problem =
                Problem::new(at..at, Path::default(), "the file is not text").expected("text in UTF-8");
            Problems::new(name, String::from_utf8_lossy(bytes).into(), problem.into())
        })?;
        let text: Arc<str> = text.into();
        let (root, problems) = tree::build(&text).map_err(|p| Problems::new(name, Arc::clone(&text), p))?;
        Ok(Self { name: name.to_owned(), text, root, problems })
    }

    /// Reads the file as a `W`, and returns what `resolve` makes of it. The error's cause is everything that is wrong
    /// with the file ([`Problems`]).
    ///
    /// `resolve` adds the problems that no schema can express. Its `W` omits what the schema forbids, as far as the
    /// rest makes sense without it, so that all mistakes are reported together.
    ///
    /// An enum variant with data is written as a mapping with one key, the variant's name.
    pub fn resolve<W: JsonSchema + DeserializeOwned, R>(
        &self,
        resolve: impl FnOnce(W, &mut Problems) -> Result<R>,
    ) -> Result<R> {
        let (written, mut problems) = self.typed();
        let resolved = written.map(|written| resolve(written, &mut problems)).transpose()?;
        Ok(problems.into_result(resolved)?)
    }

    /// Returns what is valid in the file by its schema, and everything that is wrong with it so far.
    fn typed<T: JsonSchema + DeserializeOwned>(&self) -> (Option<T>, Problems) {
        let schema = schema::<T>();
        let mut list = self.problems.clone();
        let value = check::check(&self.root, &self.text, &schema, &mut list);
        let mut problems = Problems::new(&self.name, Arc::clone(&self.text), list);
        let typed = value.and_then(|value| match singleton_map_recursive::deserialize(value) {
            Ok(typed) => Some(typed),
            // The type is stricter than its schema. This is still reported, though without a place.
            Err(error) if problems.is_empty() => {
                problems.add(|| Problem::new(0..0, Path::default(), error));
                None
            }
            Err(_) => None,
        });
        (typed, problems)
    }

    /// Whether the file is a mapping with that key.
    pub fn has(&self, key: &str) -> bool {
        self.holds(&Path::default().key(key))
    }

    /// Whether there is something at that path.
    pub fn holds(&self, path: &Path) -> bool {
        self.find(path).is_some()
    }

    /// An empty list, for problems found later.
    pub fn problems(&self) -> Problems {
        Problems::new(&self.name, Arc::clone(&self.text), List::default())
    }

    /// A problem with the value at that path, or with what contains it if it is missing.
    pub fn value(&self, path: &Path, message: impl Display) -> Problem {
        let span = match self.find(path) {
            Some((_, node)) => node.span.clone(),
            None => return self.key(&path.parent(), message).path(path.clone()),
        };
        Problem::new(span, path.clone(), message)
    }

    /// A problem with the key at that path, or with the value if it has no key.
    pub fn key(&self, path: &Path, message: impl Display) -> Problem {
        let span = match self.find(path) {
            Some((Some(entry), _)) => entry.key_span.clone(),
            Some((None, node)) => node.span.clone(),
            None if path.is_root() => 0..0,
            None => return self.key(&path.parent(), message).path(path.clone()),
        };
        Problem::new(span, path.clone(), message)
    }

    /// The node at that path, with its entry if it is in a mapping.
    fn find(&self, path: &Path) -> Option<(Option<&Entry>, &Node)> {
        let mut found = (None, &self.root);
        for step in path.steps() {
            found = match (step, &found.1.value) {
                (Step::Key(key), Value::Map(entries)) => {
                    let entry = entries.iter().find(|e| *e.key == **key)?;
                    (Some(entry), &entry.value)
                }
                (Step::Index(i), Value::List(items)) => (None, items.get(*i)?),
                _ => return None,
            };
        }
        Some(found)
    }
}

/// The JSON schema of a kind of file. Editors use it, and files are checked against it.
pub fn schema<W: JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(W).to_value()
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Error::usage(problems.summary()).caused_by(problems)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    };
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "lowercase")]
    enum Step {
        Start(String),
        Wait { port: u16 },
        Stop,
    }

    fn steps(text: &str) -> (Option<Vec<Step>>, serde_json::Value) {
        let (steps, problems) = Document::parse("x", text.as_bytes()).unwrap().typed();
        (steps, problems.to_json())
    }

    #[test]
    fn a_list_may_have_items_of_several_kinds() {
        let (steps, problems) = steps("[{start: a}, {wait: {port: 7}}, stop]");
        assert_eq!(steps.unwrap(), [Step::Start("a".into()), Step::Wait { port: 7 }, Step::Stop]);
        assert_eq!(problems, serde_json::json!([]));
    }

    #[test]
    fn the_kind_is_told_by_the_key() {
        for (text, path, expected, suggestion) in [
            ("[{wait: {prot: 7, port: 7}}]", "[0].wait.prot", "`port`", Some("port")),
            ("[{wait: {port: 70000}}]", "[0].wait.port", "a whole number from 0 to 65535", None),
            ("[{strat: a}]", "[0].strat", "one of `start`, `wait`", Some("start")),
            ("[{}]", "[0].start", "the key `start`", None),
        ] {
            let problem = &steps(text).1[0];
            assert_eq!((&problem["path"], &problem["expected"]), (&path.into(), &expected.into()), "{text}");
            assert_eq!(problem["suggestion"].as_str(), suggestion, "{text}");
        }
        assert_eq!(steps("[stpo]").1[0]["suggestion"], "stop");
    }

    #[test]
    fn what_is_right_survives_what_is_wrong() {
        let (steps, problems) = steps("[{start: 5}, stop]");
        assert_eq!(steps.unwrap(), [Step::Stop]);
        assert_eq!(problems[0]["suggestion"], "\"5\"");
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[serde(default)]
        #[expect(dead_code, reason = "read by nobody")]
        server: Option<String>,
    }

    fn numbered(behind: &str, bytes: usize) -> String {
        (0..bytes / 16).map(|n| format!("k{n:06}{behind}")).collect::<Vec<_>>().concat()
    }

    /// Reads this many bytes of mistakes and renders them all. Returns their number and the processor time used.
    fn told(make: fn(usize) -> String, bytes: usize) -> (usize, Duration) {
        let text = make(bytes);
        let begun = used();
        let problems = match Document::parse("x", text.as_bytes()) {
            Ok(document) => document.typed::<Known>().1,
            Err(problems) => problems,
        };
        let said = problems.render(false) + &problems.to_json().to_string();
        let taken = used().saturating_sub(begun);
        assert!(said.len() < 4 << 20, "{} bytes of {}", said.len(), &said[..2000]);
        (problems.count(), taken)
    }

    /// The processor time of this thread.
    fn used() -> Duration {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        let spent = usage.user_time() + usage.system_time();
        Duration::from_micros(spent.num_microseconds().cast_unsigned())
    }

    #[test]
    fn the_time_for_a_file_full_of_mistakes_grows_as_the_file_does() {
        type Make = fn(usize) -> String;
        let makes: [(Make, bool); 6] = [
            (|bytes| "server: x\n".repeat(bytes / 10), true),
            (|bytes| format!("{{{}}}", "server: x,".repeat(bytes / 10)), true),
            (|bytes| numbered(": 1\n", bytes), true),
            (|bytes| format!("{{{}}}", numbered(": 1, ", bytes)), true),
            (|bytes| "? !t x\n: !t y\n".repeat(bytes / 14), true),
            (|bytes| format!("{}: {{{}}}\n", "k".repeat(bytes / 3), numbered(": 1,", bytes / 2)), false),
        ];
        for (nth, (make, many)) in makes.into_iter().enumerate() {
            let (few, short) = told(make, MAX_BYTES / 8);
            let (count, long) = told(make, MAX_BYTES / 2);
            assert!(few > 0 && (!many || count > 3 * few), "{nth}: {few}, then {count}");
            // Four times the text would take sixteen times as long if the search for each mistake began at the start.
            assert!(long < short * 9, "{nth}: {short:?}, then {long:?}");
        }
    }

    #[test]
    fn what_is_counted_is_told() {
        let text = (0..300).map(|n| format!("k{n}: 1\n")).collect::<Vec<_>>().concat();
        let (_, problems) = Document::parse("x", text.as_bytes()).unwrap().typed::<Known>();
        assert_eq!(problems.summary(), "x: 300 problems");
        assert!(problems.render(false).ends_with("and 280 more"), "{}", problems.render(false));
        let records = problems.to_json();
        assert_eq!(records.as_array().unwrap().len(), 101);
        assert_eq!(records[100]["message"], "and 200 more problems");
    }

    #[test]
    fn an_alias_of_much_text_is_counted_with_it() {
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(MAX_BYTES / 2), "*a,".repeat(MAX_BYTES / 8));
        let problems = Document::parse("x", text.as_bytes()).unwrap_err();
        assert!(problems.to_json()[0]["message"] == "too much text", "{}", problems.summary());
    }
}

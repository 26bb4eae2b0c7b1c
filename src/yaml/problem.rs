//! Problems: what is wrong with a file, where, and what would be right.

use std::{fmt, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use super::Path;
use crate::printable::{same_length, visible};

/// Maximum number of problems shown; the others are only counted. So many have one cause, or nobody will read them.
const SHOWN: usize = 20;
/// Maximum number of problems kept; the others are only counted. A file may have a hundred thousand.
const KEPT: usize = 100;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    span: Range<usize>,
    path: Path,
    message: String,
    expected: Option<String>,
    suggestion: Option<String>,
}

impl Problem {
    /// A mistake in the value at `path`; `span` is its place in the text, in bytes.
    pub fn new(span: Range<usize>, path: Path, message: impl fmt::Display) -> Self {
        Self { span, path, message: message.to_string(), expected: None, suggestion: None }
    }

    /// Adds what would be right.
    #[must_use]
    pub fn expected(mut self, expected: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string());
        self
    }

    /// Adds what was probably meant, if known.
    #[must_use]
    pub fn suggest<S: fmt::Display>(mut self, suggestion: Option<S>) -> Self {
        self.suggestion = suggestion.map(|s| s.to_string());
        self
    }

    /// Makes it about another path than that of the place where it is shown.
    #[must_use]
    pub fn path(mut self, path: Path) -> Self {
        self.path = path;
        self
    }

    fn title(&self) -> String {
        if self.path.is_root() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }
}

/// Problems in the order in which they are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    kept: Vec<Problem>,
    /// The number of further problems.
    more: usize,
}

impl List {
    /// Adds a problem. `problem` is called only if the problem is kept, because it takes time to find a place in the
    /// file, or what was probably meant.
    pub(super) fn add(&mut self, problem: impl FnOnce() -> Problem) {
        if self.kept.len() < KEPT {
            self.kept.push(problem());
        } else {
            self.more += 1;
        }
    }

    /// Adds a problem that is always kept, e.g. one that prevents the rest from being read.
    pub(super) fn keep(&mut self, problem: Problem) {
        self.kept.push(problem);
    }
}

impl From<Problem> for List {
    fn from(problem: Problem) -> Self {
        Self { kept: vec![problem], more: 0 }
    }
}

/// Everything that is wrong with one file. Displayed with the lines concerned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Problems {
    file: String,
    text: Arc<str>,
    list: List,
}

/// A [`Problem`] as JSON. Lines and columns count from 1, columns in characters.
#[derive(Debug, Serialize)]
struct Record<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    path: String,
    message: &'a str,
    expected: Option<&'a str>,
    suggestion: Option<&'a str>,
}

impl Problems {
    pub(super) fn new(file: &str, text: Arc<str>, list: List) -> Self {
        Self { file: file.to_owned(), text, list }
    }

    /// Returns the problems that an error carries, if it is about a wrong file.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |e| e.source()).find_map(|e| e.downcast_ref())
    }

    /// Adds a problem. `problem` is called only if the problem is kept.
    pub fn add(&mut self, problem: impl FnOnce() -> Problem) {
        self.list.add(problem);
    }

    /// Whether one more would be kept.
    pub fn has_room(&self) -> bool {
        self.list.kept.len() < KEPT
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.kept.is_empty()
    }

    /// Whether a problem is about that value, something in it or something around it. Use it to avoid reporting
    /// what only follows from another mistake.
    pub fn any_about(&self, path: &Path) -> bool {
        self.list.kept.iter().any(|p| p.path.is_within(path) || path.is_within(&p.path))
    }

    /// Returns `value` if nothing is wrong.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    /// A summary, e.g. `lab.yaml: 3 problems`.
    pub fn summary(&self) -> String {
        let count = self.count();
        format!("{}: {count} problem{}", visible(&self.file), if count == 1 { "" } else { "s" })
    }

    /// The number of problems.
    pub fn count(&self) -> usize {
        self.list.kept.len() + self.list.more
    }

    /// Returns the problems with the lines concerned, in the order of the file.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let sorted = self.sorted();
        let mut shown: Vec<_> = sorted.iter().take(SHOWN).map(|p| self.render_one(p, &renderer)).collect();
        if self.count() > SHOWN {
            shown.push(format!("and {} more", self.count() - SHOWN));
        }
        shown.join("\n\n")
    }

    /// Returns the problems as JSON: an array of {"file", "line", "column", "path", "message", "expected",
    /// "suggestion"}, in the order of the file. Very many are cut short, with the number of the rest.
    pub fn to_json(&self) -> serde_json::Value {
        let mut records: Vec<_> = self.sorted().into_iter().map(|problem| self.record(problem)).collect();
        if self.list.more > 0 {
            let message = format!("and {} more problems", self.list.more);
            records.push(self.record(&Problem::new(
                self.text.len()..self.text.len(),
                Path::default(),
                message,
            )));
        }
        records.into()
    }

    fn record(&self, problem: &Problem) -> serde_json::Value {
        let before = &self.text[..problem.span.start];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        serde_json::json!(Record {
            file: &self.file,
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            path: problem.path.to_string(),
            message: &problem.message,
            expected: problem.expected.as_deref(),
            suggestion: problem.suggestion.as_deref(),
        })
    }

    fn sorted(&self) -> Vec<&Problem> {
        let mut sorted: Vec<_> = self.list.kept.iter().collect();
        sorted.sort_by_key(|p| p.span.start);
        sorted
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let label = problem.expected.as_ref().map(|e| format!("expected {}", visible(e)));
        let help = problem.suggestion.as_ref().map(|s| format!("did you mean `{}`?", visible(s)));
        let span = first_line(&self.text, problem.span.clone());
        let file = visible(&self.file);
        let text = same_length(&self.text);
        let snippet = Snippet::source(&*text)
            .path(file.as_str())
            .annotation(AnnotationKind::Primary.span(span).label(label));
        let title = Level::ERROR.primary_title(visible(&problem.title()));
        let help = help.map(|h| Level::HELP.message(h));
        renderer.render(&[title.element(snippet).elements(help)])
    }
}

/// The part of `span` that is on its first line, without trailing blanks.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let line = text[span.clone()].lines().next().unwrap_or_default().trim_end();
    span.start..span.start + line.len()
}

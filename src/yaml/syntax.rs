//! What is not YAML at all, in the words of someone who writes a file, not of a parser.

use std::ops::Range;

use super::{Path, Problem};

/// The parser's words (a part of them), ours, and what would be right.
const WORDS: [(&str, &str, &str); 7] = [
    (
        "mapping values are not allowed",
        "a colon that does not belong here",
        "one `key: value` a line, indented like its neighbours, or quotes around the text",
    ),
    ("expected key", "a line out of place", "the indentation of its neighbours"),
    ("expected '-'", "a line out of place", "`- ` as its neighbours have it"),
    ("expected ',' or", "a bracket that is not closed, or a missing comma", "`,` or the closing bracket"),
    ("quoted scalar, found unexpected end", "a quote that is not closed", "the same quote at the end"),
    (
        "trailing content after",
        "something behind the closing quote",
        "a quote inside of the text written twice",
    ),
    ("unexpected character", "a character that no text begins with", "quotes around the text"),
];

/// The problem of a text that the parser gave up on at byte `at`, being at `path`.
pub(super) fn explain(text: &str, at: usize, info: &str, path: &Path) -> Problem {
    // What is missing at the end is missing behind the last word.
    let at = if text[at..].trim().is_empty() { text.trim_end().len() } else { at };
    let line = line_at(text, at);
    let indent = &text[line.start..line.start + indentation(&text[line.clone()])];
    if let Some(tab) = indent.find('\t') {
        let tab = line.start + tab;
        return Problem::new(tab..tab + 1, path.clone(), "a tab in the indentation").expected("spaces");
    }
    // The parser notices a missing colon only where the next thing begins.
    let behind_indent = at > line.start + indent.len();
    let said = if behind_indent { line } else { line_before(text, line.start) };
    if info.contains("simple key") || info.contains("expected key") && !has_colon(&text[said.clone()]) {
        let start = said.start + indentation(&text[said.clone()]);
        return Problem::new(start..said.end, path.clone(), "no colon")
            .expected("`key: value`, with a space behind the colon");
    }
    match WORDS.iter().find(|(theirs, ..)| info.contains(theirs)) {
        Some((_, ours, expected)) => Problem::new(at..at, path.clone(), ours).expected(expected),
        None => Problem::new(at..at, path.clone(), format!("not YAML: {info}")),
    }
}

/// The line that a byte is on, without its end.
fn line_at(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    start..text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// The last line before `start` that says something, or the one that starts there.
fn line_before(text: &str, start: usize) -> Range<usize> {
    let mut line = line_at(text, start);
    while line.start > 0 {
        line = line_at(text, line.start - 1);
        let says = text[line.clone()].trim_start();
        if !says.is_empty() && !says.starts_with('#') {
            return line;
        }
    }
    line_at(text, start)
}

fn has_colon(line: &str) -> bool {
    line.contains(": ") || line.trim_end().ends_with(':')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

//! Explains text that is not YAML in the words of the person who writes a file, not of a parser.

use std::ops::Range;

use super::{Path, Problem};
use crate::printable::looks_like_space;

/// Part of the parser's message, our message, and what would be right. The first match counts.
const WORDS: [(&str, &str, &str); 18] = [
    (
        "mapping values are not allowed",
        "a colon that does not belong here",
        "one `key: value` a line, indented like its neighbours, or quotes around the text",
    ),
    ("illegal placement of ':'", "a colon that does not belong here", "quotes around the text"),
    ("':' must be followed", "a tab behind the colon", "a space"),
    ("'-' must be followed", "a tab behind the dash", "a space"),
    ("expected key", "a line out of place", "the indentation of its neighbours"),
    ("expected '-'", "a line out of place", "`- `, like its neighbours"),
    ("expected <document start>", "a line out of place", "the indentation of its neighbours"),
    ("expected ',' or", "a bracket that is not closed, or a missing comma", "`,` or the closing bracket"),
    ("expected node content", "a value is missing here", "a value, or quotes around the text"),
    ("in quoted scalar", "a quote that is not closed", "the same quote at the end"),
    ("quoted scalar, found unexpected", "a quote that is not closed", "the same quote at the end"),
    ("trailing content after", "something behind the closing quote", "a quote inside the text written twice"),
    (
        "while parsing a quoted scalar",
        "a backslash that means nothing here",
        "`\\\\` for a backslash, or 'single quotes' around the text",
    ),
    ("unexpected character", "a character that no text begins with", "quotes around the text"),
    ("unknown anchor", "an alias that names nothing", "quotes around a text that begins with `*`"),
    ("anchor", "an `&` or `*` with no name behind it", "quotes around the text"),
    ("recursion limit", "too deep", "at most 32 levels"),
    ("tab", "a tab where it may not be", "spaces"),
];

/// Where a parser gave up.
pub(super) struct Stop<'a> {
    pub text: &'a str,
    /// The byte it was at.
    pub at: usize,
    /// The end of the last event it reported.
    pub last: usize,
    /// The parser's message.
    pub info: &'a str,
    /// The innermost bracket that was open there.
    pub bracket: Option<usize>,
}

impl Stop<'_> {
    /// Returns the problem, at `path`.
    pub fn explain(&self, path: &Path) -> Problem {
        let text = self.text;
        let problem = |span, message| Problem::new(span, path.clone(), message);
        // Whatever is missing at the end of the file is reported after the last word.
        let at = if text[self.at..].trim().is_empty() { text.trim_end().len() } else { self.at };
        let line = line_at(text, at);
        let indent = indentation(&text[line.clone()]);
        if let Some(tab) = text[line.start..line.start + indent].find('\t') {
            let tab = line.start + tab;
            return problem(tab..tab + 1, "a tab in the indentation").expected("spaces");
        }
        let before = lines_before(text, line.start).next();
        if let Some(span) =
            [Some(line.clone()), before].into_iter().flatten().find_map(|line| odd_indent(text, &line))
        {
            return problem(span, LIKE_A_SPACE.0).expected(LIKE_A_SPACE.1);
        }
        if let Some(line) = self.without_colon(&line, at > line.start + indent) {
            if let Some((span, message, expected)) = look_alike(text, &line) {
                return problem(span, message).expected(expected);
            }
            let start = line.start + content(&text[line.clone()]);
            return problem(start..line.end, "no colon")
                .expected("`key: value`, with a space after the colon");
        }
        if let Some(bracket) = self.left_open(at, line.start, indent) {
            let closing = if text[bracket..].starts_with('{') { '}' } else { ']' };
            return problem(bracket..bracket + 1, "a bracket that is not closed")
                .expected(format!("`{closing}` after its content"));
        }
        if self.info.contains("<document start>")
            && let Some(first) = lines_before(text, line.start).last()
            && indentation(&text[first.clone()]) > indent
        {
            let start = first.start + indentation(&text[first.clone()]);
            return problem(start..first.end, "an indented line that belongs to nothing")
                .expected("the key that it belongs to above it, or no indentation");
        }
        let at = if text[..at].ends_with('\t') { at - 1 } else { at };
        match WORDS.iter().find(|(theirs, ..)| self.info.contains(theirs)) {
            Some((_, ours, expected)) => problem(at..at, *ours).expected(expected),
            None => problem(at..at, "this is not YAML").expected("`key: value`, or quotes around the text"),
        }
    }

    /// The unclosed bracket that caused what the parser found at byte `at` of a line with that indentation, if the line
    /// cannot belong inside the bracket.
    fn left_open(&self, at: usize, line: usize, indent: usize) -> Option<usize> {
        let text = self.text;
        let bracket = open_bracket(text, self.last.min(at)..at).or(self.bracket)?;
        let opened = line_at(text, bracket);
        let outside = opened.start < line && indent <= indentation(&text[opened]);
        let indented = self.info.contains("indentation") && !self.info.contains("quoted");
        let ended = self.info.contains("expected node content") && text[at..].trim().is_empty();
        (indented || ended || outside && self.info.contains("expected ',' or")).then_some(bracket)
    }

    /// The line that lacks a colon. The parser may notice it only at a later line: `line` is the one it was at, and
    /// `behind_indent` says whether it was past the indentation.
    fn without_colon(&self, line: &Range<usize>, behind_indent: bool) -> Option<Range<usize>> {
        let text = self.text;
        let lacks = |line: &Range<usize>| !has_colon(&text[line.clone()]);
        if self.info.contains("simple key") {
            let before = || lines_before(text, line.start).next();
            return if behind_indent { None } else { before() }.or(Some(line.clone()));
        }
        if self.info.contains("expected key") {
            return lines_before(text, line.start).next().filter(lacks).filter(|_| !behind_indent);
        }
        if !self.info.contains("mapping values") || self.bracket.is_some() {
            return None;
        }
        // Lines without a colon are read as one text with this line's key, if they have the same indentation. A text
        // that continues below its own key is not such a line.
        let column = |line: &Range<usize>| content(&text[line.clone()]);
        let mut found = None;
        for before in lines_before(text, line.start) {
            let is_item = column(&before) > indentation(&text[before.clone()]);
            if column(&before) != column(line) || !lacks(&before) {
                let opens = text[before].trim_end().ends_with([':', '-']);
                return found.filter(|_| opens);
            }
            found = Some(before);
            if is_item {
                break;
            }
        }
        found
    }
}

/// The message about a character that is not a space, and what would be right.
const LIKE_A_SPACE: (&str, &str) = ("a character that only looks like a space", "an ordinary space");

/// A character in a line's indentation that looks like a space but is not one in YAML.
fn odd_indent(text: &str, line: &Range<usize>) -> Option<Range<usize>> {
    let blank = text[line.clone()].char_indices().take_while(|(_, c)| *c == ' ' || looks_like_space(*c));
    let (at, c) = blank.into_iter().find(|(_, c)| *c != ' ')?;
    Some(line.start + at..line.start + at + c.len_utf8())
}

/// The innermost bracket that is open at the end of a part of the text. The part must begin outside quotes.
fn open_bracket(text: &str, part: Range<usize>) -> Option<usize> {
    let (mut open, mut quote, mut before) = (Vec::new(), None, ' ');
    let mut chars = text[part.clone()].char_indices();
    while let Some((at, c)) = chars.next() {
        let begins = before.is_whitespace() || "[{,:".contains(before);
        match (quote, c) {
            (Some('"'), '\\') => drop(chars.next()),
            (Some(end), c) if c == end => quote = None,
            (None, '"' | '\'') if begins => quote = Some(c),
            (None, '#') if before.is_whitespace() => drop(chars.find(|(_, c)| *c == '\n')),
            (None, '[' | '{') if begins => open.push(part.start + at),
            (None, ']' | '}') => drop(open.pop()),
            _ => {}
        }
        before = c;
    }
    open.pop()
}

/// The first character of a line that is not what it looks like, with a message and what would be right.
fn look_alike(text: &str, line: &Range<usize>) -> Option<(Range<usize>, &'static str, &'static str)> {
    text[line.clone()].char_indices().find_map(|(at, c)| {
        let span = line.start + at..line.start + at + c.len_utf8();
        match c {
            '：' | '﹕' | '∶' | '꞉' => {
                Some((span, "a character that only looks like a colon", "`:` with a space after it"))
            }
            c if looks_like_space(c) => Some((span, LIKE_A_SPACE.0, LIKE_A_SPACE.1)),
            _ => None,
        }
    })
}

/// The line that a byte is on, without its line break.
fn line_at(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    start..text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// The lines before `start` that have content, nearest first.
fn lines_before(text: &str, start: usize) -> impl Iterator<Item = Range<usize>> {
    let before = |line: &Range<usize>| Some(line_at(text, line.start.checked_sub(1)?));
    let lines = std::iter::successors(before(&(start..start)), before);
    lines.filter(|line| {
        let says = text[line.clone()].trim_start();
        !says.is_empty() && !says.starts_with('#')
    })
}

fn has_colon(line: &str) -> bool {
    line.contains(": ") || line.trim_end().ends_with(':')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Where a line's text begins, after its indentation and the dashes of lists.
fn content(line: &str) -> usize {
    let mut rest = line.trim_start_matches(' ');
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start_matches(' ');
    }
    line.len() - rest.len()
}

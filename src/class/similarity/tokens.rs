//! Splits a program into tokens, in which names, numbers, strings, comments and layout make no difference.

use std::path::Path;

/// A token: its normal form, and its line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    pub form: &'t str,
    pub line: usize,
}

/// How a language writes comments and strings.
#[derive(Clone, Copy)]
struct Language {
    line_comments: &'static [&'static str],
    block_comments: &'static [(&'static str, &'static str)],
    quotes: &'static [&'static str],
}

const C_LIKE: Language =
    Language { line_comments: &["//"], block_comments: &[("/*", "*/")], quotes: &["\"", "'"] };
const RUST: Language = Language { line_comments: &["//"], block_comments: &[("/*", "*/")], quotes: &["\""] };
const PYTHON: Language =
    Language { line_comments: &["#"], block_comments: &[], quotes: &["\"\"\"", "'''", "\"", "'"] };

/// Keywords of the languages that occur here. They keep their form.
const WORDS: &str = " if else for while do switch case default break continue return goto struct union enum \
    typedef static const extern sizeof int char long short unsigned signed float double void def class try \
    except finally with as import from lambda yield in is not and or fn let mut match loop impl trait pub use \
    mod move unsafe throw catch new func go defer ";

/// Returns the tokens of a program; none if the file is not a program.
pub fn of<'t>(name: &Path, text: &'t str) -> impl Iterator<Item = Token<'t>> {
    let language = match name.extension().and_then(|e| e.to_str()) {
        Some("c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "java" | "go" | "js" | "ts" | "cs" | "kt") => {
            Some(C_LIKE)
        }
        Some("rs") => Some(RUST),
        Some("py" | "rb" | "pl" | "sh") => Some(PYTHON),
        _ => None,
    };
    language.into_iter().flat_map(move |language| Lexer { language, rest: text, line: 1 })
}

struct Lexer<'t> {
    language: Language,
    rest: &'t str,
    line: usize,
}

impl<'t> Iterator for Lexer<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        while !self.rest.is_empty() {
            let line = self.line;
            if let Some(form) = self.step() {
                return Some(Token { form, line });
            }
        }
        None
    }
}

impl<'t> Lexer<'t> {
    /// Moves past the next piece of text, and returns its normal form if it is a token.
    fn step(&mut self) -> Option<&'t str> {
        let (rest, language) = (self.rest, self.language);
        if language.line_comments.iter().any(|sign| rest.starts_with(sign)) {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
            None
        } else if let Some((begin, end)) = language.block_comments.iter().find(|(b, _)| rest.starts_with(b)) {
            let inner = &rest[begin.len()..];
            self.skip(inner.find(end).map_or(rest.len(), |at| begin.len() + at + end.len()));
            None
        } else if let Some(quote) = language.quotes.iter().find(|quote| rest.starts_with(**quote)) {
            self.skip(quote.len() + quoted(&rest[quote.len()..], quote));
            Some("\"")
        } else {
            self.word()
        }
    }

    fn word(&mut self) -> Option<&'t str> {
        let rest = self.rest;
        let first = rest.chars().next()?;
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        if !is_name(first) {
            self.skip(first.len_utf8());
            return (!first.is_whitespace()).then(|| &rest[..first.len_utf8()]);
        }
        let word = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        self.skip(word.len());
        Some(if first.is_ascii_digit() {
            "0"
        } else if WORDS.contains(&format!(" {word} ")) {
            word
        } else {
            "x"
        })
    }

    fn skip(&mut self, length: usize) {
        let (passed, rest): (&'t str, &'t str) = self.rest.split_at(length);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

/// Returns the length of a string including its closing quote. One that is never closed ends with its line.
fn quoted(text: &str, quote: &str) -> usize {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(quote) {
            return at + quote.len();
        }
        if quote.len() == 1 && rest.starts_with('\n') {
            return at;
        }
        let mut chars = rest.chars();
        let first = chars.next().map_or(0, char::len_utf8);
        let escaped = if rest.starts_with('\\') { chars.next().map_or(0, char::len_utf8) } else { 0 };
        at += first + escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(name: &str, text: &str) -> String {
        of(Path::new(name), text).map(|t| t.form).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_does_not_count_is_gone() {
        assert_eq!(
            forms("a.c", "int n = 12; // twelve\nchar *s = \"a \\\" // b\"; /* x\n*/ f('\\'', s);"),
            "int x = 0 ; char * x = \" ; x ( \" , x ) ;"
        );
        assert_eq!(forms("a.py", "def f(): # why\n  return '''a\n#b'''"), "def x ( ) : return \"");
        assert_eq!(forms("a.rs", "fn f<'a>(s: &'a str) {}"), "fn x < ' x > ( x : & ' x x ) { }");
        assert_eq!(forms("README.md", "text"), "");
        assert_eq!(forms("a.c", "\"never closed\nint é"), "\" int x");
    }

    #[test]
    fn lines_are_counted() {
        let tokens = of(Path::new("a.c"), "a\n/*\n\n*/ b\n\"x\"\nc");
        assert_eq!(tokens.map(|t| t.line).collect::<Vec<_>>(), [1, 4, 5, 6]);
    }
}

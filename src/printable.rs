//! Texts that anybody may have written, for a terminal or a page: what would steer it is made visible.

use std::borrow::Cow;

/// One line of text. A line feed in it is made visible, too.
pub fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// One line of a table of programs, which choose their own names: `?` for each character that would steer, as `ps` has it.
pub fn as_ps_does(text: &str) -> String {
    text.replace(steers, "?")
}

/// A text in which the same bytes mean the same places, with something to see for each character that would steer.
/// The ASCII ones among them are left to whoever shows it.
pub fn same_length(text: &str) -> Cow<'_, str> {
    let hides = |c: char| !c.is_ascii() && steers(c);
    if !text.contains(hides) {
        return text.into();
    }
    let mut same = String::with_capacity(text.len());
    for c in text.chars() {
        match c.len_utf8() {
            _ if !hides(c) => same.push(c),
            2 => same.push('\u{a4}'),
            3 => same.push('\u{fffd}'),
            _ => same.push_str("\u{fffd}?"),
        }
    }
    same.into()
}

/// Controls, what turns the direction of writing (Unicode's UAX 9) so that a name shows as another one, what nobody
/// sees, and what ends a line for some programs and not for others.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text of several lines. Tabs become spaces.
pub fn printable(text: &str) -> String {
    text.lines().map(|line| visible(&line.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_line_keeps_its_places() {
        let text = "a\u{9b}b\u{202e}c\u{e0041}d\x1b\n";
        let same = same_length(text);
        assert_eq!(same, "a\u{a4}b\u{fffd}c\u{fffd}?d\x1b\n");
        assert_eq!(same.len(), text.len());
        assert!(matches!(same_length("añb\t"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(visible("\x1b[2Ja\u{9b}\nñ"), "\\u{1b}[2Ja\\u{9b}\\nñ");
        assert_eq!(visible("\u{202e}gpj.c"), "\\u{202e}gpj.c");
        assert_eq!(visible("a\u{2028}b\u{200b}\u{feff}é"), "a\\u{2028}b\\u{200b}\\u{feff}é");
        assert_eq!(printable("a\n\x07b\tc\n"), "a\n\\u{7}b    c");
    }
}

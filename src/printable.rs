//! Texts that anybody may have written, for a terminal or a page: what would steer it is made visible.

/// One line of text. A line feed in it is made visible, too.
pub fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A text of several lines.
pub fn printable(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(visible("\x1b[2Ja\u{9b}\nñ"), "\\u{1b}[2Ja\\u{9b}\\nñ");
        assert_eq!(printable("a\n\x07b\n"), "a\n\\u{7}b");
    }
}

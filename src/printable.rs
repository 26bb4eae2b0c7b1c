//! Makes text from untrusted sources safe for a terminal or a page: characters that would control it are made
//! visible.

use std::borrow::Cow;

/// Makes one line of text safe. Line feeds are made visible, too, and so are look-alike characters.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (c, deceives) in classified(text) {
        if deceives { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Makes one line of a process table safe, since programs choose their own names: `?` for each control
/// character, as `ps` does.
pub fn as_ps_does(text: &str) -> String {
    text.replace(steers, "?")
}

/// Replaces control and deceptive characters by visible ones of the same length, so that byte offsets stay
/// valid. ASCII control characters are left to the caller.
pub fn same_length(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let mut same = String::with_capacity(text.len());
    for (c, deceives) in classified(text) {
        match c.len_utf8() {
            1 => same.push(c),
            _ if !deceives => same.push(c),
            2 => same.push('\u{a4}'),
            3 => same.push('\u{fffd}'),
            _ => same.push_str("\u{fffd}?"),
        }
    }
    same.into()
}

/// Returns each character, and whether it is a control or look-alike character.
fn classified(text: &str) -> impl Iterator<Item = (char, bool)> {
    text.split_inclusive(|c: char| !c.is_alphanumeric()).flat_map(|word| {
        let latin = word.contains(|c: char| c.is_ascii_alphabetic());
        word.chars().map(move |c| (c, steers(c) || looks_like_space(c) || latin && looks_latin(c)))
    })
}

/// Letters of scripts that share shapes with the Latin one, and variants of Latin letters. They are mixed
/// with Latin letters within a word only by a slip of the keyboard, or to deceive.
fn looks_latin(c: char) -> bool {
    matches!(
        c,
        '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13fd}' | '\u{1c80}'..='\u{1c8f}' | '\u{1d26}'..='\u{1d2b}'
            | '\u{1f00}'..='\u{1fff}' | '\u{2c80}'..='\u{2cff}' | '\u{2de0}'..='\u{2dff}' | '\u{a640}'..='\u{a69f}'
            | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}'
    )
}

/// Controls, characters that change the direction of writing (Unicode's UAX 9) so that a name shows as
/// another one, invisible characters, and those that end a line for some programs and not for others.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Characters that look like a space, but that no format treats as one.
pub(crate) fn looks_like_space(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{2800}' | '\u{3164}'
    )
}

/// Cuts a text after that many characters, and marks the cut by `…`.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}

/// Does the same, and says how long the text was, in bytes; `bytes` is that length.
pub fn shortened_from(text: &str, most: usize, bytes: usize) -> Cow<'_, str> {
    match shortened(text, most) {
        Cow::Owned(cut) => format!("{cut} ({bytes} bytes)").into(),
        whole @ Cow::Borrowed(_) => whole,
    }
}

/// Makes a text of several lines safe. Tabs become spaces.
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
        assert_eq!(same_length("añb\t"), "añb\t");
        assert_eq!(same_length("r\u{43e}le:\u{a0}x"), "r\u{a4}le:\u{a4}x");
    }

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(visible("\x1b[2Ja\u{9b}\nñ"), "\\u{1b}[2Ja\\u{9b}\\nñ");
        assert_eq!(visible("\u{202e}gpj.c"), "\\u{202e}gpj.c");
        assert_eq!(visible("a\u{2028}b\u{200b}\u{feff}é"), "a\\u{2028}b\\u{200b}\\u{feff}é");
        assert_eq!(visible("r\u{43e}le:\u{a0}\u{ff52}ole"), "r\\u{43e}le:\\u{a0}\\u{ff52}ole");
        assert_eq!(visible("роль, Ωμέγα, señal, 10 µs, 服务器"), "роль, Ωμέγα, señal, 10 µs, 服务器");
        assert_eq!(printable("a\n\x07b\tc\n"), "a\n\\u{7}b    c");
    }
}

//! Signal names and numbers, as the shell's `kill` knows them.

mod inherited;

use nix::{libc, sys::signal::Signal};

use crate::{Error, Result, suggest::nearest};

pub(crate) use inherited::Uninterrupted;

pub use inherited::begin;

/// Returns the signals by number and name, as `kill -l` lists them: the standard ones and the real-time ones.
pub fn all() -> impl Iterator<Item = (i32, String)> {
    (1..=libc::SIGRTMAX()).filter_map(|n| name(n).map(|name| (n, name)))
}

/// Returns a signal's name with `SIG` before it; `None` for the two numbers that the C library reserves.
pub fn name(number: i32) -> Option<String> {
    let (min, max) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    match number {
        n if n == min => Some("SIGRTMIN".into()),
        n if n == max => Some("SIGRTMAX".into()),
        n if n > min && n <= i32::midpoint(min, max) => Some(format!("SIGRTMIN+{}", n - min)),
        n if n > min && n < max => Some(format!("SIGRTMAX-{}", max - n)),
        n => Signal::try_from(n).ok().map(|s| s.as_str().to_owned()),
    }
}

/// Parses a signal written as `PIPE`, `SIGPIPE`, `pipe` or `13`.
pub fn parse(word: &str) -> Result<i32> {
    let upper = word.to_uppercase();
    let known: Vec<_> = all().collect();
    if let Ok(number) = word.parse::<i32>()
        && known.iter().any(|(n, _)| *n == number)
    {
        return Ok(number);
    }
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((number, _)) = known.iter().find(|(_, name)| name[3..] == *short) {
        return Ok(*number);
    }
    let near = nearest(short, known.iter().map(|(_, name)| &name[3..]));
    Err(Error::usage(format!("unknown signal: {word}")).hint(near.map_or_else(
        || "`netlab signals` lists them".to_owned(),
        |near| format!("did you mean {near}? `netlab signals` lists them all"),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_three_spellings() {
        for word in ["PIPE", "SIGPIPE", "sigpipe", "13"] {
            assert_eq!(parse(word).unwrap(), 13, "{word}");
        }
        assert_eq!(parse("RTMIN+3").unwrap(), libc::SIGRTMIN() + 3);
    }

    #[test]
    fn an_unknown_signal_names_the_nearest() {
        let error = parse("PIPPE").unwrap_err();
        assert_eq!(error.message, "unknown signal: PIPPE");
        assert!(error.hint.unwrap().contains("did you mean PIPE?"));
        assert!(parse("32").is_err(), "the C library keeps 32 and 33");
        assert!(parse("0").is_err() && parse("65").is_err());
    }
}

//! Fingerprints of a program, by winnowing.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::tokens::Token;

/// Parts shorter than this, in tokens, leave no fingerprint: some two lines.
const SHORTEST: usize = 16;
/// Of so many neighbours, one at least is kept: a part of `SHORTEST + WINDOW - 1` tokens that two programs
/// share is found in both.
const WINDOW: usize = 5;

/// A fingerprint: of which tokens, and on which lines they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    pub hash: u64,
    pub from: usize,
    pub to: usize,
}

/// The program's fingerprints in their order.
pub fn prints(tokens: &[Token]) -> Vec<Print> {
    let all: Vec<Print> = tokens.windows(SHORTEST).map(print).collect();
    let mut kept: Vec<usize> = Vec::new();
    for (start, window) in all.windows(WINDOW.min(all.len().max(1))).enumerate() {
        // The last one of the smallest, so that neighbouring windows choose the same.
        let smallest = window.iter().enumerate().rev().min_by_key(|(_, print)| print.hash);
        let at = start + smallest.map_or(0, |(at, _)| at);
        if kept.last() != Some(&at) {
            kept.push(at);
        }
    }
    kept.into_iter().map(|at| all[at]).collect()
}

fn print(tokens: &[Token]) -> Print {
    // With the same keys always, so that one run's fingerprints are another one's.
    let mut hasher = DefaultHasher::new();
    for token in tokens {
        token.form.hash(&mut hasher);
    }
    Print { hash: hasher.finish(), from: tokens[0].line, to: tokens[tokens.len() - 1].line }
}

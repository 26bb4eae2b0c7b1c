//! Fingerprints of a program, by winnowing.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    iter,
};

use super::tokens::Token;

/// Parts shorter than this, in tokens, leave no fingerprint: about two lines.
const SHORTEST: usize = 16;
/// Of this many neighbours, at least one is kept: so a part of `SHORTEST + WINDOW - 1` tokens that two programs
/// share is found in both.
const WINDOW: usize = 5;

/// A fingerprint: the hash of some tokens, and their first and last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub hash: u64,
    pub from: usize,
    pub to: usize,
}

/// Returns the program's fingerprints in order, computed on demand.
pub fn fingerprints<'t>(tokens: impl Iterator<Item = Token<'t>>) -> impl Iterator<Item = Fingerprint> {
    winnow(all(tokens))
}

/// Returns the fingerprint of every part of [`SHORTEST`] tokens.
fn all<'t>(mut tokens: impl Iterator<Item = Token<'t>>) -> impl Iterator<Item = Fingerprint> {
    let mut part: VecDeque<Token<'t>> = tokens.by_ref().take(SHORTEST - 1).collect();
    tokens.map(move |token| {
        part.push_back(token);
        let print = print(&part);
        part.pop_front();
        print
    })
}

/// Returns the smallest of every [`WINDOW`] neighbours, each once; of fewer in total, the smallest.
fn winnow(mut all: impl Iterator<Item = Fingerprint>) -> impl Iterator<Item = Fingerprint> {
    let mut window: VecDeque<(usize, Fingerprint)> = VecDeque::new();
    let (mut came, mut last, mut ended) = (0, None, false);
    iter::from_fn(move || {
        while !ended {
            match all.next() {
                Some(print) => window.push_back((came, print)),
                // The only window, and an incomplete one.
                None if came < WINDOW => ended = true,
                None => return None,
            }
            came += usize::from(!ended);
            if window.len() > WINDOW {
                window.pop_front();
            }
            if window.len() < WINDOW && !ended {
                continue;
            }
            // The last of several smallest, so that neighbouring windows choose the same.
            let smallest = window.iter().rev().min_by_key(|(_, print)| print.hash).copied();
            if let Some((at, print)) = smallest.filter(|(at, _)| last != Some(*at)) {
                last = Some(at);
                return Some(print);
            }
        }
        None
    })
}

fn print(tokens: &VecDeque<Token<'_>>) -> Fingerprint {
    // Always with the same keys, so that fingerprints of different runs are comparable.
    let mut hasher = DefaultHasher::new();
    for token in tokens {
        token.form.hash(&mut hasher);
    }
    let line = |token: Option<&Token<'_>>| token.map_or(0, |token| token.line);
    Fingerprint { hash: hasher.finish(), from: line(tokens.front()), to: line(tokens.back()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Winnowing, written as simply as possible.
    fn naive(all: &[Fingerprint]) -> Vec<Fingerprint> {
        let mut kept: Vec<usize> = Vec::new();
        for (start, window) in all.windows(WINDOW.min(all.len().max(1))).enumerate() {
            let smallest = window.iter().enumerate().rev().min_by_key(|(_, print)| print.hash);
            let at = start + smallest.map_or(0, |(at, _)| at);
            if kept.last() != Some(&at) {
                kept.push(at);
            }
        }
        kept.into_iter().map(|at| all[at]).collect()
    }

    #[test]
    fn one_of_every_window_is_kept() {
        for (length, kinds) in (0..40).flat_map(|length| [(length, 3), (length, 1000)]) {
            let all: Vec<Fingerprint> = (0..length)
                .map(|n: u64| Fingerprint { hash: n.wrapping_mul(0x9e37_79b9) >> 7 & 0xffff, from: 1, to: 1 })
                .map(|print| Fingerprint { hash: print.hash % kinds, ..print })
                .collect();
            assert_eq!(winnow(all.iter().copied()).collect::<Vec<_>>(), naive(&all), "{all:?}");
        }
    }
}

//! Where two submissions share something, as lines of their files.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::prints::Print;

/// Places of a pair that are told.
const MOST: usize = 5;
/// Two parts with so many fingerprints or fewer between them are one.
const GAP: usize = 4;

/// A part that two submissions share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// In the one.
    pub a: Span,
    /// In the other one.
    pub b: Span,
}

/// Lines of a file, the last one included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The file.
    pub file: PathBuf,
    /// The first line.
    pub from: usize,
    /// The last line.
    pub to: usize,
}

impl Span {
    fn of(file: &Path, print: &Print) -> Self {
        Self { file: file.to_owned(), from: print.from, to: print.to }
    }

    fn take_in(&mut self, print: &Print) {
        self.from = self.from.min(print.from);
        self.to = self.to.max(print.to);
    }
}

/// The longest parts with these fingerprints in both.
pub fn of(a: &[(PathBuf, Vec<Print>)], b: &[(PathBuf, Vec<Print>)], shared: &HashSet<u64>) -> Vec<Place> {
    let mut twins: HashMap<u64, Vec<(&Path, usize, &Print)>> = HashMap::new();
    for (file, prints) in b {
        for (at, print) in prints.iter().enumerate() {
            twins.entry(print.hash).or_default().push((file, at, print));
        }
    }
    let mut places = Vec::new();
    for (file, prints) in a {
        let mut current: Option<(Place, usize, usize)> = None;
        for (at, print) in prints.iter().enumerate().filter(|(_, print)| shared.contains(&print.hash)) {
            let twins = &twins[&print.hash];
            let next =
                current.as_ref().filter(|(_, last, _)| at - last <= GAP).and_then(|(place, _, last)| {
                    twins.iter().find(|(file, at, _)| *file == place.b.file && at.abs_diff(*last) <= GAP)
                });
            match (&mut current, next) {
                (Some((place, last, last_twin)), Some((_, there, twin))) => {
                    place.a.take_in(print);
                    place.b.take_in(twin);
                    (*last, *last_twin) = (at, *there);
                }
                _ => {
                    places.extend(current.take().map(|(place, ..)| place));
                    let (other, there, twin) = twins[0];
                    let place = Place { a: Span::of(file, print), b: Span::of(other, twin) };
                    current = Some((place, at, there));
                }
            }
        }
        places.extend(current.map(|(place, ..)| place));
    }
    places.sort_by_key(|place| std::cmp::Reverse(place.a.to - place.a.from));
    places.truncate(MOST);
    places
}

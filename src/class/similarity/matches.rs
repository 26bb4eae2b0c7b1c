//! Finds the lines that two submissions share.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::class::similarity::fingerprints::Fingerprint;

/// Maximum number of places reported for a pair.
const MOST: usize = 5;
/// Two parts with at most this many fingerprints between them are one part.
const GAP: u32 = 4;

/// A part that two submissions share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its lines in one.
    pub a: Span,
    /// Its lines in the other.
    pub b: Span,
}

/// Lines of a file, the last one included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The file.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub file: PathBuf,
    /// The first line.
    pub from: usize,
    /// The last line.
    pub to: usize,
}

impl Span {
    fn of(file: &Path, print: &Fingerprint) -> Self {
        Self { file: file.to_owned(), from: print.from, to: print.to }
    }

    fn take_in(&mut self, print: &Fingerprint) {
        self.from = self.from.min(print.from);
        self.to = self.to.max(print.to);
    }
}

/// An index of where each fingerprint of a submission is.
pub struct Index<'w> {
    files: &'w [(PathBuf, Vec<Fingerprint>)],
    /// By hash: the numbers of a file and of a fingerprint in it, in order.
    places: HashMap<u64, Vec<(u32, u32)>>,
}

impl<'w> Index<'w> {
    /// Builds the index of these files.
    pub fn new(files: &'w [(PathBuf, Vec<Fingerprint>)]) -> Self {
        let mut places: HashMap<u64, Vec<(u32, u32)>> = HashMap::new();
        for (file, (_, fingerprints)) in (0..).zip(files) {
            for (at, print) in (0..).zip(fingerprints) {
                places.entry(print.hash).or_default().push((file, at));
            }
        }
        Self { files, places }
    }

    fn of(&self, print: &Fingerprint) -> Option<&[(u32, u32)]> {
        self.places.get(&print.hash).map(Vec::as_slice)
    }

    fn get(&self, (file, at): (u32, u32)) -> (&'w Path, &'w Fingerprint) {
        let (name, fingerprints) = &self.files[file as usize];
        (name, &fingerprints[at as usize])
    }
}

/// Returns the first place that is near another one. A repeated pattern has many places, hence the binary search.
fn near(places: &[(u32, u32)], (file, at): (u32, u32)) -> Option<(u32, u32)> {
    let first = places.partition_point(|place| *place < (file, at.saturating_sub(GAP)));
    places.get(first).copied().filter(|place| *place <= (file, at.saturating_add(GAP)))
}

/// A part that both have so far, up to a fingerprint in one and its twin in the other.
struct Part {
    place: Place,
    last: u32,
    twin: (u32, u32),
}

/// Returns the longest parts of these files that are also in the index.
pub fn of(a: &[(PathBuf, Vec<Fingerprint>)], b: &Index<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for (file, fingerprints) in a {
        let mut current: Option<Part> = None;
        for (at, print) in (0..).zip(fingerprints) {
            let Some(twins) = b.of(print) else { continue };
            let open = current.as_mut().filter(|part| at - part.last <= GAP);
            if let Some((part, twin)) = open.and_then(|part| near(twins, part.twin).map(|twin| (part, twin)))
            {
                part.place.a.take_in(print);
                part.place.b.take_in(b.get(twin).1);
                (part.last, part.twin) = (at, twin);
            } else {
                let (other, twin) = b.get(twins[0]);
                let place = Place { a: Span::of(file, print), b: Span::of(other, twin) };
                let done = current.replace(Part { place, last: at, twin: twins[0] });
                places.extend(done.map(|part| part.place));
            }
        }
        places.extend(current.map(|part| part.place));
    }
    places.sort_by_key(|place| std::cmp::Reverse(place.a.to - place.a.from));
    places.truncate(MOST);
    places
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Does the same by comparing every pair of fingerprints.
    fn naive(a: &[(PathBuf, Vec<Fingerprint>)], b: &[(PathBuf, Vec<Fingerprint>)]) -> Vec<Place> {
        let twins = |print: &Fingerprint| {
            let all = b.iter().flat_map(|(file, fingerprints)| {
                (0_u32..).zip(fingerprints).map(move |(at, p)| (file, at, p))
            });
            let hash = print.hash;
            all.filter(move |(.., twin)| twin.hash == hash)
        };
        let mut places: Vec<Place> = Vec::new();
        for (file, fingerprints) in a {
            let mut last: Option<(u32, &Path, u32)> = None;
            for (at, print) in (0..).zip(fingerprints).filter(|(_, print)| twins(print).next().is_some()) {
                let next = last.filter(|(last, ..)| at - last <= GAP).and_then(|(_, other, there)| {
                    twins(print).find(|(file, at, _)| *file == other && at.abs_diff(there) <= GAP)
                });
                let (other, there, twin) = next.or_else(|| twins(print).next()).unwrap();
                match places.last_mut().filter(|_| next.is_some()) {
                    Some(place) => {
                        place.a.take_in(print);
                        place.b.take_in(twin);
                    }
                    None => places.push(Place { a: Span::of(file, print), b: Span::of(other, twin) }),
                }
                last = Some((at, other, there));
            }
        }
        places.sort_by_key(|place| std::cmp::Reverse(place.a.to - place.a.from));
        places.truncate(MOST);
        places
    }

    /// A few files with few kinds of fingerprints, so that they repeat.
    fn files() -> impl Strategy<Value = Vec<(PathBuf, Vec<Fingerprint>)>> {
        let file = (1_u64..12).prop_flat_map(|kinds| vec(0..kinds, 0..40));
        vec(file, 0..4).prop_map(|files| {
            let fingerprints = |hashes: Vec<u64>| {
                (1..).zip(hashes).map(|(line, hash)| Fingerprint { hash, from: line, to: line + 2 }).collect()
            };
            (0..).zip(files).map(|(n, hashes)| (format!("{n}.c").into(), fingerprints(hashes))).collect()
        })
    }

    proptest! {
        #[test]
        fn looking_up_finds_what_looking_at_each_pair_finds(a in files(), b in files()) {
            prop_assert_eq!(of(&a, &Index::new(&b)), naive(&a, &b));
        }
    }
}

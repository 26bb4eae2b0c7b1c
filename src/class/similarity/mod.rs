//! Finds submissions that share large parts. That is a reason to look, not a verdict.
//!
//! Programs are compared by fingerprints of their tokens, chosen by winnowing (Schleimer, Wilkerson,
//! Aiken: *Winnowing: local algorithms for document fingerprinting*, SIGMOD 2003). Names, numbers, strings,
//! comments and layout make no difference. Code that students were given is ignored. So is code that most of
//! a large class shares; since that may also mean that many copied from one, the result says how much of each
//! submission it is, and which files are identical in several.

mod fingerprints;
mod matches;
mod tokens;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Result,
    class::submission::{Bounds, walk},
    error::Context,
};
use fingerprints::{Fingerprint, fingerprints};

pub use matches::{Place, Span};

/// In a class of at least this many, code that more than half of them have is code that everybody writes.
const CLASS: usize = 6;
/// Fewer fingerprints in common than this, about twenty lines, are chance.
const FEWEST: usize = 12;
/// Maximum number of fingerprints compared per submission, from about 20,000 lines. Nobody writes more by hand, and
/// one long submission must not hold up the class.
const MOST_PRINTS: usize = 1 << 16;
/// Maximum number of fingerprints examined to find those, if the others are of code that students were given.
const MOST_LOOKED_AT: usize = 1 << 20;
/// Maximum number of pairs reported.
const MOST_PAIRS: usize = 1000;

/// Netlab's own sources of the programs that students are to write.
const REFERENCE: [(&str, &str); 9] = [
    ("tcpechod/main.rs", include_str!("../../bin/tcpechod/main.rs")),
    ("tcpechod/options.rs", include_str!("../../bin/tcpechod/options.rs")),
    ("tcpechod/passive.rs", include_str!("../../bin/tcpechod/passive.rs")),
    ("tcpechod/print.rs", include_str!("../../bin/tcpechod/print.rs")),
    ("tcpechod/signals.rs", include_str!("../../bin/tcpechod/signals.rs")),
    ("tcpechod/variants.rs", include_str!("../../bin/tcpechod/variants.rs")),
    ("tcpecho.rs", include_str!("../../bin/tcpecho.rs")),
    ("processes.rs", include_str!("../../bin/processes.rs")),
    ("threads.rs", include_str!("../../bin/threads.rs")),
];

/// Two submissions that share a part.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// One of them.
    pub a: String,
    /// The other.
    pub b: String,
    /// How much of the smaller one is in the other, from 0 to 1.
    pub share: f64,
    /// Where to look, longest part first.
    pub places: Vec<Place>,
}

/// What a class shares.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Alike {
    /// The pairs that share a large part, the most alike first.
    pub pairs: Vec<Pair>,
    /// Files that are identical in several submissions, even in most of the class.
    pub copies: Vec<Copied>,
    /// How much of each submission was not compared because most of the class has the same.
    pub common: Vec<Common>,
    /// Submissions so long that only their beginning was compared.
    pub cut: Vec<String>,
    /// How many further pairs there are, less alike than those.
    pub more: usize,
}

impl Alike {
    /// Returns the form used in the JSON of grades.
    pub fn to_json(&self) -> serde_json::Value {
        let Self { pairs, copies, common, cut, more } = self;
        serde_json::json!({"alike": pairs, "copies": copies, "common": common, "cut": cut, "more_alike": more})
    }
}

/// A file that several submissions have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The students that have it, with its name there.
    #[serde(serialize_with = "named")]
    pub by: Vec<(String, PathBuf)>,
}

fn named<S: serde::Serializer>(by: &[(String, PathBuf)], to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(by.iter().map(|(who, path)| (who, path.to_string_lossy())))
}

/// The part of one submission that most of the class shares.
#[derive(Clone, Debug, Serialize)]
pub struct Common {
    /// The student.
    pub who: String,
    /// The share of the submission, from 0 to 1.
    pub share: f64,
}

/// The fingerprints of the code that students were given, which is ignored.
#[derive(Debug, Default)]
pub struct Given(HashSet<u64>);

impl Given {
    /// Adds the programs in a folder.
    pub fn add(&mut self, folder: &Path) -> Result<()> {
        each_program(folder, |name, text| {
            self.0.extend(fingerprints(tokens::of(&name, text)).map(|print| print.hash));
        })
    }
}

/// A submission to compare: whose it is, and the fingerprints of its files.
#[derive(Clone, Debug)]
pub struct Work {
    name: String,
    files: Vec<(PathBuf, Vec<Fingerprint>)>,
    /// How many more fingerprints may be kept, and how many examined.
    room: (usize, usize),
    /// The first file of which not everything was kept, if there is one.
    cut: Option<usize>,
}

impl Work {
    /// Reads the programs in a folder, except for code that was given.
    pub fn read(name: &str, folder: &Path, given: &Given) -> Result<Self> {
        let mut work = Self::new(name);
        each_program(folder, |name, text| work.add(name, text, given))?;
        Ok(work)
    }

    /// Returns netlab's own programs, which anybody can find and hand in.
    fn of_netlab(given: &Given) -> Self {
        let mut work = Self::new("netlab's own programs");
        for (name, text) in REFERENCE {
            work.add(name.into(), text, given);
        }
        work
    }

    fn new(name: &str) -> Self {
        let room = (MOST_PRINTS, MOST_LOOKED_AT);
        Self { name: name.to_owned(), files: Vec::new(), room, cut: None }
    }

    fn add(&mut self, name: PathBuf, text: &str, given: &Given) {
        let mut kept = Vec::new();
        for print in fingerprints(tokens::of(&name, text)) {
            let is_given = given.0.contains(&print.hash);
            if self.room.1 == 0 || self.room.0 == 0 && !is_given {
                self.cut.get_or_insert(self.files.len());
                break;
            }
            self.room.1 -= 1;
            if !is_given {
                self.room.0 -= 1;
                kept.push(print);
            }
        }
        self.files.push((name, kept));
    }

    /// Returns the files of which everything was kept.
    fn whole(&self) -> &[(PathBuf, Vec<Fingerprint>)] {
        &self.files[..self.cut.unwrap_or(self.files.len())]
    }

    fn hashes(&self) -> HashSet<u64> {
        self.files.iter().flat_map(|(_, fingerprints)| fingerprints.iter().map(|print| print.hash)).collect()
    }

    fn without(&mut self, common: &HashSet<u64>) {
        for (_, fingerprints) in &mut self.files {
            fingerprints.retain(|print| !common.contains(&print.hash));
        }
    }
}

fn each_program(folder: &Path, mut take: impl FnMut(PathBuf, &str)) -> Result<()> {
    for found in walk::sources(folder, Bounds::SUBMISSION)? {
        let bytes = found.read().or_usage(|| format!("cannot read {}", found.path.display()))?;
        take(found.name, &String::from_utf8_lossy(&bytes));
    }
    Ok(())
}

/// Compares a class: finds the pairs that share at least the part `least` (from 0 to 1), and identical files.
/// Netlab's own programs may be one of a pair.
pub fn compare(mut works: Vec<Work>, given: &Given, least: f64) -> Alike {
    let cut = works.iter().filter(|work| work.cut.is_some()).map(|work| work.name.clone()).collect();
    let copies = copies(&works);
    let everybodys = everybodys(&works);
    let common = works.iter().filter_map(|work| common(work, &everybodys)).collect();
    works.push(Work::of_netlab(given));
    works.iter_mut().for_each(|work| work.without(&everybodys));
    let (pairs, more) = pairs(&works, least);
    Alike { pairs, copies, common, cut, more }
}

/// Returns the most alike pairs, and how many more there are.
fn pairs(works: &[Work], least: f64) -> (Vec<Pair>, usize) {
    let mut alike = shares(works);
    alike.retain(|(.., share)| *share >= least);
    alike.sort_by(|(.., a), (.., b)| b.total_cmp(a));
    let more = alike.len().saturating_sub(MOST_PAIRS);
    alike.truncate(MOST_PAIRS);
    let mut indices = BTreeMap::new();
    let pair = |(i, j, share): (usize, usize, f64)| {
        let (a, b): (&Work, &Work) = (&works[i], &works[j]);
        let index = indices.entry(j).or_insert_with(|| matches::Index::new(&b.files));
        Pair { a: a.name.clone(), b: b.name.clone(), share, places: matches::of(&a.files, index) }
    };
    (alike.into_iter().map(pair).collect(), more)
}

/// Returns how much of the smaller one each two share, if that is more than chance.
///
/// Goes through the fingerprints once, because most pairs have none in common.
fn shares(works: &[Work]) -> Vec<(usize, usize, f64)> {
    let mut sizes = Vec::new();
    let mut owned: Vec<(u64, usize)> = Vec::new();
    for (n, work) in works.iter().enumerate() {
        let hashes = work.hashes();
        sizes.push(hashes.len());
        owned.extend(hashes.into_iter().map(|hash| (hash, n)));
    }
    owned.sort_unstable();
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for owners in owned.chunk_by(|(a, _), (b, _)| a == b) {
        for (n, (_, i)) in owners.iter().enumerate() {
            for (_, j) in &owners[n + 1..] {
                *counts.entry((*i, *j)).or_default() += 1;
            }
        }
    }
    let share = |((i, j), shared): ((usize, usize), usize)| {
        (i, j, shared as f64 / sizes[i].min(sizes[j]).max(1) as f64)
    };
    counts.into_iter().filter(|(_, shared)| *shared >= FEWEST).map(share).collect()
}

/// Returns the files that are identical in several submissions.
fn copies(works: &[Work]) -> Vec<Copied> {
    let mut owners: BTreeMap<Vec<u64>, Vec<(String, PathBuf)>> = BTreeMap::new();
    for work in works {
        for (name, fingerprints) in
            work.whole().iter().filter(|(_, fingerprints)| fingerprints.len() >= FEWEST)
        {
            let hashes = fingerprints.iter().map(|print| print.hash).collect();
            let by = owners.entry(hashes).or_default();
            // The same file twice in one submission is not a copy.
            if by.last().is_none_or(|(last, _)| *last != work.name) {
                by.push((work.name.clone(), name.clone()));
            }
        }
    }
    let mut copies: Vec<Copied> =
        owners.into_values().filter(|by| by.len() > 1).map(|by| Copied { by }).collect();
    copies.sort_by(|a, b| b.by.len().cmp(&a.by.len()).then_with(|| a.by.cmp(&b.by)));
    copies
}

/// Returns how much of the work everybody has, if anything.
fn common(work: &Work, everybodys: &HashSet<u64>) -> Option<Common> {
    let own = work.hashes();
    let common = own.intersection(everybodys).count();
    let share = common as f64 / own.len().max(1) as f64;
    (common > 0).then(|| Common { who: work.name.clone(), share })
}

/// Returns the fingerprints that more than half of a large class has.
fn everybodys(works: &[Work]) -> HashSet<u64> {
    if works.len() < CLASS {
        return HashSet::new();
    }
    let mut owners: HashMap<u64, usize> = HashMap::new();
    for hash in works.iter().flat_map(Work::hashes) {
        *owners.entry(hash).or_default() += 1;
    }
    owners.into_iter().filter(|(_, n)| 2 * n > works.len()).map(|(hash, _)| hash).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, Instant},
    };

    use super::*;

    /// Returns a program of `n` functions, different for each `seed`.
    fn program(seed: usize, n: usize) -> String {
        let signs = ["+", "-", "*", "/", "%", "&", "|", "^"];
        let line = |i: usize| {
            let sign = |k: usize| signs[(seed * 31 + i * 7 + k * (seed + 3)) % signs.len()];
            format!(
                "int f{i}(int a, int b) {{\n  return a {} b {} (a {} {i}) {} b;\n}}\n",
                sign(1),
                sign(2),
                sign(5),
                sign(9)
            )
        };
        (0..n).map(line).collect()
    }

    fn read(name: &str, text: &str, given: &Given) -> Work {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.c"), text).unwrap();
        Work::read(name, folder.path(), given).unwrap()
    }

    fn work(name: &str, text: &str) -> Work {
        read(name, text, &Given::default())
    }

    #[test]
    fn a_copy_with_other_names_and_layout_is_found() {
        let mine = program(1, 40);
        let theirs =
            mine.replace("int a", "int first").replace(" a ", " first  ").replace('\n', " /* x */\n\n");
        let found = compare(
            vec![work("a", &mine), work("b", &theirs), work("c", &program(2, 40))],
            &Given::default(),
            0.5,
        )
        .pairs;
        let [pair] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((pair.a.as_str(), pair.b.as_str()), ("a", "b"));
        assert!(pair.share > 0.9, "{}", pair.share);
        let place = &pair.places[0];
        assert!(place.a.to - place.a.from > 100, "{place:?}");
        assert!(place.b.to > place.a.to, "the lines of each: {place:?}");
    }

    #[test]
    fn a_copy_of_netlabs_own_server_is_found() {
        let copy = include_str!("../../bin/tcpechod/main.rs").replace("connection", "c");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.rs"), copy).unwrap();
        let works =
            vec![Work::read("ana", folder.path(), &Given::default()).unwrap(), work("bea", &program(1, 40))];
        let found = compare(works, &Given::default(), 0.5).pairs;
        let [pair] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((pair.a.as_str(), pair.b.as_str()), ("ana", "netlab's own programs"));
        assert_eq!(pair.places[0].b.file, Path::new("tcpechod/main.rs"));
    }

    #[test]
    fn what_students_were_given_counts_for_nobody() {
        let starter = program(1, 40);
        let pairs = |given: &Given| {
            let own = |name, seed| read(name, &(starter.clone() + &program(seed, 9)), given);
            compare(vec![own("a", 3), own("b", 4)], given, 0.5).pairs.len()
        };
        assert_eq!(pairs(&Given::default()), 1);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("starter.c"), &starter).unwrap();
        let mut given = Given::default();
        given.add(folder.path()).unwrap();
        assert_eq!(pairs(&given), 0);
    }

    #[test]
    fn what_everybody_writes_counts_for_nobody() {
        let common = program(1, 40);
        let works = (0..6).map(|n| work(&n.to_string(), &(common.clone() + &program(10 + n, 20)))).collect();
        let found = compare(works, &Given::default(), 0.5);
        assert_eq!((found.pairs.len(), found.copies.len()), (0, 0));
        assert!(found.common.len() == 6 && found.common.iter().all(|c| c.share > 0.4), "{found:?}");
    }

    #[test]
    fn what_most_have_copied_is_told_nevertheless() {
        let copied = program(1, 40);
        let mut works: Vec<Work> = ["a", "b", "c", "d"].iter().map(|name| work(name, &copied)).collect();
        works.extend((0..3).map(|n| work(&n.to_string(), &program(10 + n, 40))));
        let found = compare(works, &Given::default(), 0.5);
        let [copy] = found.copies.as_slice() else { panic!("{found:?}") };
        let by: Vec<&str> = copy.by.iter().map(|(who, _)| who.as_str()).collect();
        assert_eq!(by, ["a", "b", "c", "d"]);
        let all: Vec<&str> = found.common.iter().filter(|c| c.share > 0.99).map(|c| c.who.as_str()).collect();
        assert_eq!(all, by);
    }

    /// Returns `n` tokens, in a different order for each `seed`.
    fn signs(seed: usize, n: usize) -> String {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            b"+-*%&|^!~<>=?:.,;()[]{}\n"[(state >> 33) % 24] as char
        };
        (0..n).map(next).collect()
    }

    /// Returns 64 tokens, repeated.
    fn pattern(length: usize) -> String {
        signs(0, 64).repeat(length / 64)
    }

    #[test]
    fn a_pattern_without_end_takes_nobodys_time() {
        let begun = Instant::now();
        let text = pattern(4 << 20);
        let found = compare(vec![work("a", &text), work("b", &text)], &Given::default(), 0.5);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert_eq!((found.pairs.len(), found.cut), (1, vec!["a".to_owned(), "b".to_owned()]));
        assert!(found.copies.is_empty(), "nobody has looked at the end of the files");
    }

    #[test]
    fn a_class_that_shares_a_lot_is_compared_and_the_most_alike_are_told() {
        let halves = [signs(1, 8000), signs(2, 8000)];
        let own = |n: usize| work(&n.to_string(), &(halves[n % 2].clone() + &signs(100 + n, 100)));
        let begun = Instant::now();
        let found = compare((0..60).map(own).collect(), &Given::default(), 0.5);
        assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
        assert_eq!((found.pairs.len(), found.more), (2 * 30 * 29 / 2, 0));
        assert!(found.pairs.iter().all(|pair| !pair.places.is_empty()));
    }

    #[test]
    fn what_was_given_takes_no_room() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("library.c"), pattern(1 << 18)).unwrap();
        let mut given = Given::default();
        given.add(folder.path()).unwrap();
        let own = |name, seed| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("library.c"), pattern(1 << 18)).unwrap();
            fs::write(folder.path().join("server.c"), program(seed, 40)).unwrap();
            Work::read(name, folder.path(), &given).unwrap()
        };
        let found = compare(vec![own("a", 1), own("b", 1), own("c", 2)], &given, 0.5);
        assert_eq!((found.pairs.len(), found.cut.len()), (1, 0), "{found:?}");
    }
}

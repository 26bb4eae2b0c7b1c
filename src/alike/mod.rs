//! Submissions that share large parts: a place to look, and no verdict.
//!
//! Programs are compared by fingerprints of their tokens, chosen by winnowing (Schleimer, Wilkerson,
//! Aiken: *Winnowing: local algorithms for document fingerprinting*, SIGMOD 2003). Names, numbers, texts,
//! comments and layout make no difference. What students were given counts for nobody. Nor does what most of a
//! large class has, but it is told how much of each that is, and who has the same files: when many copy from one,
//! most of the class has it.

mod places;
mod prints;
mod tokens;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Result,
    error::Context,
    submission::{Bounds, walk},
};
use prints::{Print, prints};

pub use places::{Place, Span};

/// In a class of at least so many, what more than half have is what everybody writes.
const CLASS: usize = 6;
/// Fewer fingerprints than these in common, some twenty lines, are chance.
const FEWEST: usize = 12;

/// The sources of what students are to write themselves, as netlab has them.
const NETLABS: [(&str, &str); 9] = [
    ("tcpechod/main.rs", include_str!("../bin/tcpechod/main.rs")),
    ("tcpechod/options.rs", include_str!("../bin/tcpechod/options.rs")),
    ("tcpechod/passive.rs", include_str!("../bin/tcpechod/passive.rs")),
    ("tcpechod/print.rs", include_str!("../bin/tcpechod/print.rs")),
    ("tcpechod/signals.rs", include_str!("../bin/tcpechod/signals.rs")),
    ("tcpechod/variants.rs", include_str!("../bin/tcpechod/variants.rs")),
    ("tcpecho.rs", include_str!("../bin/tcpecho.rs")),
    ("processes.rs", include_str!("../bin/processes.rs")),
    ("threads.rs", include_str!("../bin/threads.rs")),
];

/// Two submissions that share a part.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// One of them.
    pub a: String,
    /// The other one.
    pub b: String,
    /// How much of the smaller one is in the other one, from 0 to 1.
    pub share: f64,
    /// Where to look, the longest part first.
    pub places: Vec<Place>,
}

/// What a class shares.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Alike {
    /// The pairs that share a large part, the most alike first.
    pub pairs: Vec<Pair>,
    /// Whole files that several have, also where most of the class has them.
    pub copies: Vec<Copied>,
    /// How much of each submission was not compared because most of the class has it.
    pub common: Vec<Common>,
}

/// A file that several submissions have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Who has it, and what it is called there.
    pub by: Vec<(String, PathBuf)>,
}

/// What most of the class has, of one submission.
#[derive(Clone, Debug, Serialize)]
pub struct Common {
    /// Whose it is.
    pub who: String,
    /// How much of it, from 0 to 1.
    pub share: f64,
}

/// A submission to compare: whose it is, and the fingerprints of its files.
#[derive(Clone, Debug)]
pub struct Work {
    name: String,
    files: Vec<(PathBuf, Vec<Print>)>,
}

impl Work {
    /// The programs in a folder.
    pub fn read(name: &str, folder: &Path) -> Result<Self> {
        let mut work = Self { name: name.to_owned(), files: Vec::new() };
        for found in walk::sources(folder, Bounds::SUBMISSION)? {
            let bytes = fs::read(&found.path).or_usage(|| format!("cannot read {}", found.path.display()))?;
            work.add(found.name, &String::from_utf8_lossy(&bytes));
        }
        Ok(work)
    }

    /// netlab's own programs, which anybody can find and hand in.
    fn netlabs() -> Self {
        let mut work = Self { name: "netlab's own programs".into(), files: Vec::new() };
        for (name, text) in NETLABS {
            work.add(name.into(), text);
        }
        work
    }

    fn add(&mut self, name: PathBuf, text: &str) {
        let prints = prints(&tokens::of(&name, text));
        self.files.push((name, prints));
    }

    fn hashes(&self) -> HashSet<u64> {
        self.files.iter().flat_map(|(_, prints)| prints.iter().map(|print| print.hash)).collect()
    }

    fn without(&mut self, common: &HashSet<u64>) {
        for (_, prints) in &mut self.files {
            prints.retain(|print| !common.contains(&print.hash));
        }
    }
}

/// What the class shares: the pairs that share at least so much, and whole files; netlab's own programs may be
/// one of a pair. What was `given` counts for nobody.
pub fn compare(mut works: Vec<Work>, given: &[Work], least: f64) -> Alike {
    let given: HashSet<u64> = given.iter().flat_map(Work::hashes).collect();
    works.iter_mut().for_each(|work| work.without(&given));
    let copies = copies(&works);
    let everybodys = everybodys(&works);
    let common = works.iter().filter_map(|work| common(work, &everybodys)).collect();
    let mut netlabs = Work::netlabs();
    netlabs.without(&given);
    works.push(netlabs);
    works.iter_mut().for_each(|work| work.without(&everybodys));
    Alike { pairs: pairs(&works, least), copies, common }
}

fn pairs(works: &[Work], least: f64) -> Vec<Pair> {
    let hashes: Vec<HashSet<u64>> = works.iter().map(Work::hashes).collect();
    let mut pairs = Vec::new();
    for (i, a) in works.iter().enumerate() {
        for (j, b) in works.iter().enumerate().skip(i + 1) {
            let shared: HashSet<u64> = hashes[i].intersection(&hashes[j]).copied().collect();
            let smaller = hashes[i].len().min(hashes[j].len());
            let share = shared.len() as f64 / smaller.max(1) as f64;
            if shared.len() >= FEWEST && share >= least {
                let places = places::of(&a.files, &b.files, &shared);
                pairs.push(Pair { a: a.name.clone(), b: b.name.clone(), share, places });
            }
        }
    }
    pairs.sort_by(|a, b| b.share.total_cmp(&a.share));
    pairs
}

/// The files that several have from beginning to end.
fn copies(works: &[Work]) -> Vec<Copied> {
    let mut owners: BTreeMap<Vec<u64>, Vec<(String, PathBuf)>> = BTreeMap::new();
    for work in works {
        for (name, prints) in work.files.iter().filter(|(_, prints)| prints.len() >= FEWEST) {
            let hashes = prints.iter().map(|print| print.hash).collect();
            let by = owners.entry(hashes).or_default();
            // Twice in one submission is nobody's copy.
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

/// How much of the work is everybody's, if anything.
fn common(work: &Work, everybodys: &HashSet<u64>) -> Option<Common> {
    let own = work.hashes();
    let common = own.intersection(everybodys).count();
    let share = common as f64 / own.len().max(1) as f64;
    (common > 0).then(|| Common { who: work.name.clone(), share })
}

/// What more than half of a large class has.
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
    use super::*;

    /// A program of `n` functions that no other `seed` makes.
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

    fn work(name: &str, text: &str) -> Work {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.c"), text).unwrap();
        Work::read(name, folder.path()).unwrap()
    }

    #[test]
    fn a_copy_with_other_names_and_layout_is_found() {
        let mine = program(1, 40);
        let theirs =
            mine.replace("int a", "int first").replace(" a ", " first  ").replace('\n', " /* x */\n\n");
        let found =
            compare(vec![work("a", &mine), work("b", &theirs), work("c", &program(2, 40))], &[], 0.5).pairs;
        let [pair] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((pair.a.as_str(), pair.b.as_str()), ("a", "b"));
        assert!(pair.share > 0.9, "{}", pair.share);
        let place = &pair.places[0];
        assert!(place.a.to - place.a.from > 100, "{place:?}");
        assert!(place.b.to > place.a.to, "the lines of each: {place:?}");
    }

    #[test]
    fn a_copy_of_netlabs_own_server_is_found() {
        let copy = include_str!("../bin/tcpechod/main.rs").replace("connection", "c");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.rs"), copy).unwrap();
        let works = vec![Work::read("ana", folder.path()).unwrap(), work("bea", &program(1, 40))];
        let found = compare(works, &[], 0.5).pairs;
        let [pair] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((pair.a.as_str(), pair.b.as_str()), ("ana", "netlab's own programs"));
        assert_eq!(pair.places[0].b.file, Path::new("tcpechod/main.rs"));
    }

    #[test]
    fn what_students_were_given_counts_for_nobody() {
        let given = program(1, 40);
        let works = || {
            vec![work("a", &(given.clone() + &program(3, 9))), work("b", &(given.clone() + &program(4, 9)))]
        };
        assert_eq!(compare(works(), &[], 0.5).pairs.len(), 1);
        assert_eq!(compare(works(), &[work("starter", &given)], 0.5).pairs.len(), 0);
    }

    #[test]
    fn what_everybody_writes_counts_for_nobody() {
        let common = program(1, 40);
        let works = (0..6).map(|n| work(&n.to_string(), &(common.clone() + &program(10 + n, 20)))).collect();
        let found = compare(works, &[], 0.5);
        assert_eq!((found.pairs.len(), found.copies.len()), (0, 0));
        assert!(found.common.len() == 6 && found.common.iter().all(|c| c.share > 0.4), "{found:?}");
    }

    #[test]
    fn what_most_have_copied_is_told_nevertheless() {
        let copied = program(1, 40);
        let mut works: Vec<Work> = ["a", "b", "c", "d"].iter().map(|name| work(name, &copied)).collect();
        works.extend((0..3).map(|n| work(&n.to_string(), &program(10 + n, 40))));
        let found = compare(works, &[], 0.5);
        let [copy] = found.copies.as_slice() else { panic!("{found:?}") };
        let by: Vec<&str> = copy.by.iter().map(|(who, _)| who.as_str()).collect();
        assert_eq!(by, ["a", "b", "c", "d"]);
        let all: Vec<&str> = found.common.iter().filter(|c| c.share > 0.99).map(|c| c.who.as_str()).collect();
        assert_eq!(all, by);
    }
}

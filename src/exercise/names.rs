//! The names that the parts of an exercise may use, and what is said of others.

use std::{collections::BTreeSet, fmt::Display};

use indexmap::IndexSet;

use super::model::Written;
use crate::{
    signals,
    suggest::nearest,
    yaml::{Document, Path, Problems, Text},
};

/// A file may hold a hundred thousand braces of others, and name a thousand hosts: which of them are nearly a placeholder
/// is not asked without end.
const MOST_COMPARED: usize = 100_000;

/// What is there to be named while an exercise is read from its beginning to its end.
pub struct Names<'e> {
    exercise: &'e Written,
    document: &'e Document,
    problems: &'e mut Problems,
    /// The placeholders that stand for something everywhere.
    placeholders: BTreeSet<String>,
    /// How often one of them was compared with a name that is none.
    compared: usize,
    /// Programs started so far.
    started: BTreeSet<String>,
    /// Those started in each repetition: what is before and behind the number, and how many there are.
    counted: BTreeSet<(String, String, usize)>,
    /// Looks taken so far, in this order.
    looks: IndexSet<String>,
    /// How many of them what is read now may be compared with.
    earlier: usize,
    /// How often what is read now is repeated, if it is.
    times: Option<usize>,
}

impl<'e> Names<'e> {
    /// Before the first step. What is wrong is added to `problems`.
    pub fn new(exercise: &'e Written, document: &'e Document, problems: &'e mut Problems) -> Self {
        let clients = (1..=exercise.clients).map(|n| format!("client{n}"));
        let fixed = ["server".to_owned(), "workspace".to_owned()];
        Self {
            exercise,
            document,
            problems,
            placeholders: fixed.into_iter().chain(exercise.ports.keys().cloned()).chain(clients).collect(),
            compared: 0,
            started: BTreeSet::new(),
            counted: BTreeSet::new(),
            looks: IndexSet::new(),
            earlier: 0,
            times: None,
        }
    }

    /// Reads what is repeated that often; in it, `{n}` is a placeholder.
    pub fn repeated<R>(&mut self, times: Option<usize>, read: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.times;
        self.times = times.or(before);
        let read = read(self);
        self.times = before;
        read
    }

    /// Takes in that a program is started under that name.
    pub fn start(&mut self, path: &Path, name: &Text) {
        self.words(path, name);
        match (self.times, name.around_counter()) {
            (Some(times), Some((head, tail))) => {
                self.counted.insert((head.into(), tail.into(), times));
            }
            _ => {
                self.started.insert(name.to_string());
            }
        }
    }

    /// Takes in that a look is taken under that name.
    pub fn look(&mut self, path: &Path, name: &Text) {
        self.words(path, name);
        self.looks.insert(name.to_string());
        self.earlier = self.looks.len();
    }

    /// A look that has been taken. What is read next is asked of it, and is compared with earlier ones only; without a
    /// look, it is asked of the end.
    pub fn at(&mut self, path: &Path, name: Option<&Text>) {
        self.earlier = self.looks.len();
        let Some(name) = name else { return };
        match self.looks.get_index_of(&**name) {
            Some(taken) => self.earlier = taken,
            None => self.none_of(path, "look", name, |names| names.looks.iter().cloned().collect()),
        }
    }

    /// A look that has been taken before.
    pub fn earlier_look(&mut self, path: &Path, name: &Text) {
        if self.looks.get_index_of(&**name).is_none_or(|taken| taken >= self.earlier) {
            self.none_of(path, "earlier look", name, |names| {
                names.looks.iter().take(names.earlier).cloned().collect()
            });
        }
    }

    /// The command of a program that the exercise lists.
    pub fn listed(&mut self, path: &Path, name: &str) -> Option<Text> {
        let command = self.exercise.programs.get(name);
        if command.is_none() {
            self.none_of(path, "program", name, |names| names.exercise.programs.keys().cloned().collect());
        }
        command.cloned()
    }

    /// A program that a step before has started.
    pub fn program(&mut self, path: &Path, name: &str) {
        let is_one = |(head, tail, times): &(String, String, usize)| {
            let n = name.strip_prefix(&**head).and_then(|rest| rest.strip_suffix(&**tail));
            n.is_some_and(|n| (n == "{n}" && self.times.is_some()) || is_number(n, *times))
        };
        if !self.started.contains(name) && !self.counted.iter().any(is_one) {
            self.none_of(path, "program", name, |names| {
                let counted = names.counted.iter().map(|(head, tail, _)| format!("{head}1{tail}"));
                names.started.iter().cloned().chain(counted).collect()
            });
        }
    }

    /// A host that an exercise may name; a counted one stands for the last of its kind.
    pub fn host(&mut self, path: &Path, name: &Text) {
        let name = self.times.map_or_else(|| (&**name).into(), |times| name.counted(times.max(1)));
        if name != "server" && !self.is_client(&name) {
            self.none_of(path, "host", &name, |names| {
                let clients = (1..=names.exercise.clients).map(|n| format!("client{n}"));
                clients.chain(["server".to_owned()]).collect()
            });
        }
    }

    /// A port of a fact, by its name; without a name, `port`.
    pub fn port(&mut self, fact: &Path, name: Option<&str>) {
        let name = name.unwrap_or("port");
        if !self.exercise.ports.contains_key(name) {
            self.none_of(&fact.key("port"), "port", name, |names| {
                names.exercise.ports.keys().cloned().collect()
            });
        }
    }

    /// A signal's number, by its name; or one of these words in its place.
    pub fn signal(&mut self, path: &Path, name: &str, or: &[&str]) -> Option<i32> {
        let number = signals::parse(name).ok();
        if number.is_none() && !or.contains(&name) {
            let names = signals::all().map(|(_, name)| name[3..].to_owned());
            let known = || names.chain(or.iter().map(|word| (*word).to_owned())).collect();
            self.none_of(path, "signal", name, |_| known());
        }
        number
    }

    /// Words that people read, and names: whatever looks like a placeholder is one.
    pub fn words(&mut self, path: &Path, text: &Text) {
        self.placeholders(path, text, |name| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        });
    }

    /// A command, or what programs read and print: other braces than ours are the shell's business, or theirs.
    pub fn command(&mut self, path: &Path, text: &Text) {
        self.placeholders(path, text, |_| false);
    }

    /// Placeholders that stand for nothing: those that must, and those that are nearly one that does.
    fn placeholders(&mut self, path: &Path, text: &Text, must: impl Fn(&str) -> bool) {
        let unknown: BTreeSet<&str> = text.placeholders().filter(|name| !self.is_placeholder(name)).collect();
        for name in unknown {
            let near = self.nearest_placeholder(name);
            if must(name) || near.is_some() {
                self.wrong(path, format!("no variable is named {name} here"), near.as_deref());
            }
        }
    }

    fn nearest_placeholder(&mut self, name: &str) -> Option<String> {
        if self.compared >= MOST_COMPARED || !self.problems.has_room() {
            return None;
        }
        self.compared += self.placeholders.len();
        let known = self.placeholders.iter().map(String::as_str).chain(self.times.map(|_| "n"));
        nearest(name, known).map(str::to_owned)
    }

    fn is_placeholder(&self, name: &str) -> bool {
        let counted = |times: usize| name.replace("{n}", &times.max(1).to_string());
        self.placeholders.contains(name)
            || self.times.is_some_and(|times| name == "n" || self.placeholders.contains(&counted(times)))
    }

    fn is_client(&self, name: &str) -> bool {
        name.strip_prefix("client").is_some_and(|n| is_number(n, self.exercise.clients))
    }

    /// Where a fact of that key is: one alone may stand without a list.
    pub fn item(&self, facts: &Path, key: &str, n: usize) -> Path {
        let (alone, listed) = (facts.key(key), facts.key(key).index(n));
        if self.document.holds(&listed) { listed } else { alone }
    }

    /// A name that is none of those known, which are asked for only where the problem is shown.
    pub fn none_of(
        &mut self,
        path: &Path,
        what: &str,
        name: &str,
        known: impl FnOnce(&Self) -> BTreeSet<String>,
    ) {
        let known = if self.problems.has_room() { known(self) } else { BTreeSet::new() };
        let near = nearest(name, known.iter().map(String::as_str));
        self.wrong(path, format!("no {what} is named {name} here"), near);
    }

    /// Something else that is wrong there, and what was probably meant.
    pub fn wrong(&mut self, path: &Path, message: impl Display, meant: Option<&str>) {
        self.problems.add(|| self.document.value(path, message).suggest(meant));
    }
}

/// Whether a text is a number from 1 on, as it is counted.
fn is_number(text: &str, most: usize) -> bool {
    text.parse().is_ok_and(|n: usize| (1..=most).contains(&n) && n.to_string() == text)
}

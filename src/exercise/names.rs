//! The names that the parts of an exercise may use, and the problems reported for others.

use std::{collections::BTreeSet, fmt::Display};

use indexmap::IndexSet;

use super::model::Written;
use crate::{
    signals,
    suggest::nearest,
    yaml::{Document, Path, Problems, Text},
};

/// Maximum number of comparisons made to find the placeholder nearest to a text in braces. A file may have a hundred
/// thousand such texts, and a thousand hosts.
const MOST_COMPARED: usize = 100_000;

/// The names that are known at a point of an exercise, which is read from beginning to end.
pub struct Names<'e> {
    exercise: &'e Written,
    document: &'e Document,
    problems: &'e mut Problems,
    /// The placeholders that can be used everywhere.
    placeholders: BTreeSet<String>,
    /// The number of comparisons between one of them and an unknown name.
    compared: usize,
    /// Programs started so far.
    started: BTreeSet<String>,
    /// Programs started in each repetition: what comes before and after the number, and how many there are.
    counted: BTreeSet<(String, String, usize)>,
    /// Looks taken so far, in order.
    looks: IndexSet<String>,
    /// The number of them that can be referred to as earlier by what is being read.
    earlier: usize,
    /// How often what is being read is repeated, if it is.
    times: Option<usize>,
}

impl<'e> Names<'e> {
    /// The names known before the first step. Whatever is wrong is added to `problems`.
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

    /// Reads something that is repeated that often. `{n}` is a placeholder in it.
    pub fn repeated<R>(&mut self, times: Option<usize>, read: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.times;
        self.times = times.or(before);
        let read = read(self);
        self.times = before;
        read
    }

    /// Notes that a program is started under that name.
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

    /// Notes that a look is taken under that name.
    pub fn look(&mut self, path: &Path, name: &Text) {
        self.words(path, name);
        self.looks.insert(name.to_string());
        self.earlier = self.looks.len();
    }

    /// Checks the name of the look that the following facts are about; without a name, they are about the end. They can
    /// be compared only with earlier looks.
    pub fn at(&mut self, path: &Path, name: Option<&Text>) {
        self.earlier = self.looks.len();
        let Some(name) = name else { return };
        match self.looks.get_index_of(&**name) {
            Some(taken) => self.earlier = taken,
            None => self.none_of(path, "look", name, |names| names.looks.iter().cloned().collect()),
        }
    }

    /// Checks the name of an earlier look.
    pub fn earlier_look(&mut self, path: &Path, name: &Text) {
        if self.looks.get_index_of(&**name).is_none_or(|taken| taken >= self.earlier) {
            self.none_of(path, "earlier look", name, |names| {
                names.looks.iter().take(names.earlier).cloned().collect()
            });
        }
    }

    /// Returns the command of a program that the exercise lists.
    pub fn listed(&mut self, path: &Path, name: &str) -> Option<Text> {
        let command = self.exercise.programs.get(name);
        if command.is_none() {
            self.none_of(path, "program", name, |names| names.exercise.programs.keys().cloned().collect());
        }
        command.cloned()
    }

    /// Checks the name of a program that an earlier step has started.
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

    /// Checks the name of a host. A name with `{n}` is checked for the last repetition.
    pub fn host(&mut self, path: &Path, name: &Text) {
        let name = self.times.map_or_else(|| (&**name).into(), |times| name.counted(times.max(1)));
        if name != "server" && !self.is_client(&name) {
            self.none_of(path, "host", &name, |names| {
                let clients = (1..=names.exercise.clients).map(|n| format!("client{n}"));
                clients.chain(["server".to_owned()]).collect()
            });
        }
    }

    /// Checks the name of a fact's port, by default `port`.
    pub fn port(&mut self, fact: &Path, name: Option<&str>) {
        let name = name.unwrap_or("port");
        if !self.exercise.ports.contains_key(name) {
            self.none_of(&fact.key("port"), "port", name, |names| {
                names.exercise.ports.keys().cloned().collect()
            });
        }
    }

    /// Returns the number of the signal with that name. Any word of `or` is also valid, and has no number.
    pub fn signal(&mut self, path: &Path, name: &str, or: &[&str]) -> Option<i32> {
        let number = signals::parse(name).ok();
        if number.is_none() && !or.contains(&name) {
            let names = signals::all().map(|(_, name)| name[3..].to_owned());
            let known = || names.chain(or.iter().map(|word| (*word).to_owned())).collect();
            self.none_of(path, "signal", name, |_| known());
        }
        number
    }

    /// Checks a name or a text that people read. Whatever looks like a placeholder must be one.
    pub fn words(&mut self, path: &Path, text: &Text) {
        self.placeholders(path, text, |name| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        });
    }

    /// Checks a command, or a text that programs read or print. Braces that are not placeholders belong to the shell or
    /// the program.
    pub fn command(&mut self, path: &Path, text: &Text) {
        self.placeholders(path, text, |_| false);
    }

    /// Reports unknown placeholders: those for which `must` holds, and those that are nearly a known one.
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

    /// The path of a key's fact; a single one need not be in a list.
    pub fn item(&self, facts: &Path, key: &str, n: usize) -> Path {
        let (alone, listed) = (facts.key(key), facts.key(key).index(n));
        if self.document.holds(&listed) { listed } else { alone }
    }

    /// Reports a name that is not one of those known. `known` is called only if the problem is shown.
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

    /// Reports another problem at that path, and what was probably meant.
    pub fn wrong(&mut self, path: &Path, message: impl Display, meant: Option<&str>) {
        self.problems.add(|| self.document.value(path, message).suggest(meant));
    }
}

/// Whether a text is a number from 1 to `most`, written as it is counted.
fn is_number(text: &str, most: usize) -> bool {
    text.parse().is_ok_and(|n: usize| (1..=most).contains(&n) && n.to_string() == text)
}

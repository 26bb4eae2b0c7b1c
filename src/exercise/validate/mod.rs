//! What is wrong with an exercise that no schema can say: names that nothing bears, steps that do two
//! things or none, facts that hold whatever happens.

mod facts;
mod steps;

use std::collections::BTreeSet;

use indexmap::IndexSet;

use super::model::{Check, Exercise};
use crate::{
    signals,
    suggest::nearest,
    yaml::{Document, Path, Problems},
};

/// Adds to `problems` whatever is wrong.
pub fn check(exercise: &Exercise, document: &Document, problems: &mut Problems) {
    let mut checker = Checker {
        exercise,
        document,
        problems,
        started: BTreeSet::new(),
        counted: BTreeSet::new(),
        looks: IndexSet::new(),
    };
    let root = Path::default();
    for (name, command) in &exercise.programs {
        checker.variables(command, &root.key("programs").key(name));
    }
    checker.steps(&exercise.steps, &root.key("steps"));
    let mut ids = BTreeSet::new();
    for (n, check) in exercise.checks.iter().enumerate() {
        let path = root.key("checks").index(n);
        if !ids.insert(check.id.as_str()) {
            checker.wrong(&path.key("id"), format!("two checks have the id {}", check.id), []);
        }
        checker.check(check, &path);
    }
}

struct Checker<'e> {
    exercise: &'e Exercise,
    document: &'e Document,
    problems: &'e mut Problems,
    /// Programs started so far.
    started: BTreeSet<String>,
    /// What is before and behind the number of those that are counted.
    counted: BTreeSet<(String, String)>,
    /// Looks taken so far, in this order.
    looks: IndexSet<String>,
}

impl Checker<'_> {
    fn check(&mut self, check: &Check, path: &Path) {
        self.about(check.about.as_deref(), path);
        let mut before = self.looks.len();
        if let Some(look) = &check.at {
            before = self.looks.get_index_of(look).unwrap_or(before);
            if before == self.looks.len() {
                self.none_of(&path.key("at"), "look", look, |checker| {
                    checker.looks.iter().cloned().collect()
                });
            }
        }
        self.facts(&check.show, &path.key("show"), before);
    }

    /// Only a program that the exercise lists can be judged.
    fn about(&mut self, about: Option<&str>, path: &Path) {
        if let Some(name) = about {
            self.listed(&path.key("about"), name);
        }
    }

    /// A program that the exercise lists.
    fn listed(&mut self, path: &Path, name: &str) {
        if !self.exercise.programs.contains_key(name) {
            self.none_of(path, "program", name, |checker| {
                checker.exercise.programs.keys().cloned().collect()
            });
        }
    }

    /// A host that an exercise may name; a counted one stands for the first of its kind.
    fn host(&mut self, path: &Path, name: &str) {
        let name = name.replace("{n}", "1");
        let is_client = |number: &str| {
            let n = number.parse().ok().filter(|n| (1..=self.exercise.clients).contains(n));
            n.is_some_and(|n| n.to_string() == number)
        };
        if name != "server" && !name.strip_prefix("client").is_some_and(is_client) {
            self.none_of(path, "host", &name, |checker| {
                let clients = (1..=checker.exercise.clients).map(|n| format!("client{n}"));
                clients.chain(["server".to_owned()]).collect()
            });
        }
    }

    /// A program that a step before has started; a counted one may be any of its kind.
    fn program(&mut self, path: &Path, name: &str) {
        let is_one = |(head, tail): &(String, String)| name.starts_with(head) && name.ends_with(tail);
        if !self.started.contains(name) && !self.counted.iter().any(is_one) {
            self.none_of(path, "program", name, |checker| checker.started.iter().cloned().collect());
        }
    }

    /// A signal's name, or one of these words in its place.
    fn signal(&mut self, path: &Path, name: &str, or: &[&str]) {
        if signals::parse(name).is_err() && !or.contains(&name) {
            let names = signals::all().map(|(_, name)| name[3..].to_owned());
            let known = || names.chain(or.iter().map(|word| (*word).to_owned())).collect();
            self.none_of(path, "signal", name, |_| known());
        }
    }

    /// A command's `{name}` that is nearly a variable's. Other braces are the shell's business.
    fn variables(&mut self, command: &str, path: &Path) {
        let clients = (1..=self.exercise.clients).map(|n| format!("client{n}"));
        let own = self.exercise.ports.keys().cloned().chain(["server".into(), "n".into()]);
        let known: BTreeSet<String> = own.chain(clients).collect();
        for name in command.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
            if !known.contains(name) && nearest(name, known.iter().map(String::as_str)).is_some() {
                self.none_of(path, "variable", name, |_| known.clone());
            }
        }
    }

    /// A name that is none of those known, which are asked for only where they are told.
    fn none_of(
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

    fn wrong<'n>(&mut self, path: &Path, message: String, near: impl IntoIterator<Item = &'n str>) {
        let near = near.into_iter().next();
        self.problems.add(|| self.document.value(path, message).suggest(near));
    }
}

//! What is wrong with an exercise that no schema can say: names that nothing bears, steps that do two
//! things or none, facts that hold whatever happens.

mod facts;
mod steps;

use std::collections::BTreeSet;

use super::model::{Check, Exercise};
use crate::{
    error::nearest,
    signals,
    yaml::{Document, Path, Problems},
};

/// Adds to `problems` whatever is wrong.
pub fn check(exercise: &Exercise, document: &Document, problems: &mut Problems) {
    let mut checker = Checker { exercise, document, problems, started: BTreeSet::new(), looks: Vec::new() };
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
    /// Looks taken so far, in this order.
    looks: Vec<String>,
}

impl Checker<'_> {
    fn check(&mut self, check: &Check, path: &Path) {
        self.about(check.about.as_deref(), path);
        let mut before = self.looks.clone();
        if let Some(look) = &check.at {
            self.one_of(&path.key("at"), "look", look, &self.looks.iter().cloned().collect());
            before.truncate(before.iter().position(|taken| taken == look).unwrap_or(before.len()));
        }
        self.facts(&check.show, &path.key("show"), &before);
    }

    /// Only a program that the exercise lists can be judged.
    fn about(&mut self, about: Option<&str>, path: &Path) {
        if let Some(name) = about {
            let programs = self.exercise.programs.keys().cloned().collect();
            self.one_of(&path.key("about"), "program", name, &programs);
        }
    }

    /// A host that an exercise may name; a counted one stands for the first of its kind.
    fn host(&mut self, path: &Path, name: &str) {
        let clients = (1..=self.exercise.clients).map(|n| format!("client{n}"));
        let hosts = clients.chain(["server".to_owned()]).collect();
        self.one_of(path, "host", &name.replace("{n}", "1"), &hosts);
    }

    /// A program that a step before has started; a counted one may be any of its kind.
    fn program(&mut self, path: &Path, name: &str) {
        let counted = self.started.iter().filter_map(|s| s.split_once("{n}"));
        let is_counted =
            counted.into_iter().any(|(head, tail)| name.starts_with(head) && name.ends_with(tail));
        if !is_counted {
            let started = self.started.clone();
            self.one_of(path, "program", name, &started);
        }
    }

    /// A signal's name, or one of these words in its place.
    fn signal(&mut self, path: &Path, name: &str, or: &[&str]) {
        if signals::parse(name).is_err() && !or.contains(&name) {
            let names = signals::all().map(|(_, name)| name[3..].to_owned());
            let known = names.chain(or.iter().map(|word| (*word).to_owned())).collect();
            self.one_of(path, "signal", name, &known);
        }
    }

    /// A command's `{name}` that is nearly a variable's. Other braces are the shell's business.
    fn variables(&mut self, command: &str, path: &Path) {
        let clients = (1..=self.exercise.clients).map(|n| format!("client{n}"));
        let own = self.exercise.ports.keys().cloned().chain(["server".into(), "n".into()]);
        let known: BTreeSet<String> = own.chain(clients).collect();
        for name in command.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)) {
            if nearest(name, known.iter().map(String::as_str)).is_some() {
                self.one_of(path, "variable", name, &known);
            }
        }
    }

    fn one_of(&mut self, path: &Path, what: &str, name: &str, known: &BTreeSet<String>) {
        if !known.contains(name) {
            let near = nearest(name, known.iter().map(String::as_str));
            self.wrong(path, format!("no {what} is named {name} here"), near);
        }
    }

    fn wrong<'n>(&mut self, path: &Path, message: String, near: impl IntoIterator<Item = &'n str>) {
        let problem = self.document.value(path, message).suggest(near.into_iter().next());
        self.problems.push(problem);
    }
}

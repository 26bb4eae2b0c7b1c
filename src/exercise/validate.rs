//! What is wrong with an exercise that no schema can say: names that nothing bears, steps that do two
//! things or none.

use std::collections::BTreeSet;

use super::model::{Exercise, Facts, Step};
use crate::{
    error::nearest,
    signals,
    yaml::{Document, Path, Problems},
};

/// Adds to `problems` whatever is wrong.
pub fn check(exercise: &Exercise, document: &Document, problems: &mut Problems) {
    let mut checker =
        Checker { exercise, document, problems, started: BTreeSet::new(), looks: BTreeSet::new() };
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
        checker.about(check.about.as_deref(), &path);
        if let Some(look) = &check.at {
            let looks = checker.looks.clone();
            checker.one_of(&path.key("at"), "look", look, &looks);
        }
        checker.facts(&check.show, &path.key("show"));
    }
}

struct Checker<'e> {
    exercise: &'e Exercise,
    document: &'e Document,
    problems: &'e mut Problems,
    /// Programs started so far.
    started: BTreeSet<String>,
    /// Looks taken so far.
    looks: BTreeSet<String>,
}

impl Checker<'_> {
    fn steps(&mut self, steps: &[Step], path: &Path) {
        for (n, step) in steps.iter().enumerate() {
            self.step(step, &path.index(n));
        }
    }

    fn step(&mut self, step: &Step, path: &Path) {
        if let Some(name) = &step.start {
            self.start(name, step, path);
        }
        let speaks = [
            ("type", step.type_line.is_some()),
            ("send", step.send.is_some()),
            ("signal", step.signal.is_some()),
        ];
        for (verb, _) in speaks.into_iter().filter(|(_, said)| *said) {
            match &step.to {
                None => self.wrong(&path.key(verb), format!("`{verb}` needs `to: PROGRAM`"), []),
                Some(to) => self.program(&path.key("to"), to.split('.').next().unwrap_or(to)),
            }
        }
        if let Some(signal) = &step.signal
            && signals::parse(signal).is_err()
        {
            let names: BTreeSet<String> = signals::all().map(|(_, name)| name[3..].to_owned()).collect();
            self.one_of(&path.key("signal"), "signal", signal, &names);
        }
        if let Some(name) = &step.eof {
            self.program(&path.key("eof"), name);
        }
        self.about(step.about.as_deref(), path);
        if step.times.is_some() && step.steps.is_empty() {
            self.wrong(path, "`times` needs `steps` to repeat".into(), []);
        }
        self.steps(&step.steps, &path.key("steps"));
        for (key, facts) in [("wait", &step.wait), ("require", &step.require)] {
            if let Some(facts) = facts {
                self.facts(facts, &path.key(key));
            }
        }
        let link = step.link.as_ref().map(|l| ("link", &l.host));
        let power = step.power.as_ref().map(|p| ("power", &p.host));
        for (key, host) in link.into_iter().chain(power) {
            self.one_of(&path.key(key).key("host"), "host", host, &self.hosts());
        }
        if let Some(look) = &step.look {
            self.looks.insert(look.clone());
        }
    }

    /// Only a program that the exercise lists can be judged.
    fn about(&mut self, about: Option<&str>, path: &Path) {
        if let Some(name) = about {
            let programs = self.exercise.programs.keys().cloned().collect();
            self.one_of(&path.key("about"), "program", name, &programs);
        }
    }

    /// The hosts that an exercise may name.
    fn hosts(&self) -> BTreeSet<String> {
        let clients = (1..=self.exercise.clients).map(|n| format!("client{n}"));
        clients.chain(["server".to_owned()]).collect()
    }

    fn start(&mut self, name: &str, step: &Step, path: &Path) {
        if step.on.is_none() {
            self.wrong(&path.key("start"), format!("`start: {name}` needs `on: HOST`"), []);
        }
        match (&step.program, &step.run) {
            (Some(program), None) => {
                let programs = self.exercise.programs.keys().cloned().collect();
                self.one_of(&path.key("program"), "program", program, &programs);
            }
            (None, Some(command)) => self.variables(command, &path.key("run")),
            _ => {
                let message = format!("`start: {name}` needs either `program: NAME` or `run: COMMAND`");
                self.wrong(&path.key("start"), message, []);
            }
        }
        self.started.insert(name.to_owned());
    }

    fn facts(&mut self, facts: &Facts, path: &Path) {
        let ports: BTreeSet<String> = self.exercise.ports.keys().cloned().collect();
        let each = |key: &str, n: usize| if n == 0 { path.key(key) } else { path.key(key).index(n) };
        if let Some(name) = &facts.listens {
            self.program(&path.key("listens"), name);
        }
        let talks = facts.conversations.iter().map(|t| ("conversations", &t.port));
        for (key, port) in facts.sockets.iter().map(|s| ("sockets", &s.port)).chain(talks) {
            self.one_of(&path.key(key), "port", port.as_deref().unwrap_or("port"), &ports);
        }
        let of = facts.processes.iter().enumerate().map(|(n, p)| (each("processes", n), &p.of));
        let names = facts.program.iter().enumerate().map(|(n, p)| (each("program", n), &p.name));
        let cpus = facts.cpu.iter().enumerate().map(|(n, c)| (each("cpu", n), &c.of));
        let holders = facts.descriptors.iter().enumerate().map(|(n, d)| (each("descriptors", n), &d.of));
        let printers = facts.outputs.iter().enumerate();
        let printers =
            printers.flat_map(|(n, o)| o.of.iter().map(move |name| (each("outputs", n).key("of"), name)));
        for (path, name) in of.chain(names).chain(cpus).chain(holders).chain(printers) {
            self.program(&path, name);
        }
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

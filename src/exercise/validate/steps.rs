//! What may be wrong with a step.

use super::Checker;
use crate::{
    exercise::model::{RECIPIENTS, Step, name_of},
    yaml::Path,
};

impl Checker<'_> {
    pub(super) fn steps(&mut self, steps: &[Step], path: &Path) {
        for (n, step) in steps.iter().enumerate() {
            self.step(step, &path.index(n));
        }
    }

    fn step(&mut self, step: &Step, path: &Path) {
        self.about(step.about.as_deref(), path);
        self.one_thing(step, path);
        if let Some(name) = &step.start {
            self.start(name, step, path);
        }
        self.recipient(step, path);
        if let Some(signal) = &step.signal {
            self.signal(&path.key("signal"), signal, &[]);
        }
        if let Some(name) = &step.eof {
            self.program(&path.key("eof"), name);
        }
        self.steps(&step.steps, &path.key("steps"));
        let looks = self.looks.len();
        for (key, facts) in [("wait", &step.wait), ("require", &step.require)] {
            if let Some(facts) = facts {
                self.facts(facts, &path.key(key), looks);
            }
        }
        let link = step.link.as_ref().map(|l| ("link", &l.host));
        let power = step.power.as_ref().map(|p| ("power", &p.host));
        for (key, host) in link.into_iter().chain(power) {
            self.host(&path.key(key).key("host"), host);
        }
        self.looks.extend(step.look.clone());
    }

    /// A step has one action at most, and no word that belongs to another one; a group has its steps and
    /// nothing beside them, for nothing else of it would be done.
    fn one_thing(&mut self, step: &Step, path: &Path) {
        let actions = actions(step);
        if let [one, other, ..] = actions[..] {
            self.wrong(&path.key(other), format!("a step does one thing: `{one}` or `{other}`"), []);
        }
        let is_group = !step.steps.is_empty();
        if step.times.is_some() && !is_group {
            self.wrong(path, "`times` needs `steps` to repeat".into(), []);
        }
        let others = [
            ("wait", step.wait.is_some()),
            ("require", step.require.is_some()),
            ("look", step.look.is_some()),
        ];
        for (key, _) in others.into_iter().filter(|(_, is_there)| is_group && *is_there) {
            self.wrong(
                &path.key(key),
                format!("`{key}` has no place beside `steps`: it is a step of its own"),
                [],
            );
        }
        let says = step.say.is_some() || step.times.is_some();
        if actions.is_empty() && !says && others.iter().all(|(_, is_there)| !is_there) {
            self.wrong(path, "a step that does nothing".into(), []);
        }
        self.belongs(step, path);
    }

    /// Words that say nothing without the action that they belong to.
    fn belongs(&mut self, step: &Step, path: &Path) {
        let starts = step.start.is_some();
        let sends = step.type_line.is_some() || step.send.is_some() || step.signal.is_some();
        for (key, is_there, its_action, action) in [
            ("on", step.on.is_some(), starts, "`start`"),
            ("program", step.program.is_some(), starts, "`start`"),
            ("run", step.run.is_some(), starts, "`start`"),
            ("to", step.to.is_some(), sends, "`type`, `send` or `signal`"),
        ] {
            if is_there && !its_action {
                self.wrong(&path.key(key), format!("`{key}` needs {action}"), []);
            }
        }
    }

    fn start(&mut self, name: &str, step: &Step, path: &Path) {
        match &step.on {
            None => self.wrong(&path.key("start"), format!("`start: {name}` needs `on: HOST`"), []),
            Some(host) => self.host(&path.key("on"), host),
        }
        match (&step.program, &step.run) {
            (Some(program), None) => {
                self.listed(&path.key("program"), program);
            }
            (None, Some(command)) => self.variables(command, &path.key("run")),
            _ => {
                let message = format!("`start: {name}` needs either `program: NAME` or `run: COMMAND`");
                self.wrong(&path.key("start"), message, []);
            }
        }
        self.started.insert(name.to_owned());
        let counted = name.split_once("{n}").map(|(head, tail)| (head.to_owned(), tail.to_owned()));
        self.counted.extend(counted);
    }

    fn recipient(&mut self, step: &Step, path: &Path) {
        let speaks = [
            ("type", step.type_line.is_some()),
            ("send", step.send.is_some()),
            ("signal", step.signal.is_some()),
        ];
        for (verb, _) in speaks.into_iter().filter(|(_, said)| *said) {
            match &step.to {
                None => self.wrong(&path.key(verb), format!("`{verb}` needs `to: PROGRAM`"), []),
                Some(to) => self.program(&path.key("to"), name_of(to)),
            }
        }
        let which = step.to.as_deref().and_then(|to| to.split_once('.')).map(|(_, which)| which);
        if let Some(which) = which.filter(|which| !RECIPIENTS.contains(which)) {
            let known = |_: &Self| RECIPIENTS.iter().map(|word| (*word).to_owned()).collect();
            self.none_of(&path.key("to"), "process of a program", which, known);
        }
    }
}

/// What the step does: the words for it.
fn actions(step: &Step) -> Vec<&'static str> {
    let words = [
        ("start", step.start.is_some()),
        ("type", step.type_line.is_some()),
        ("send", step.send.is_some()),
        ("eof", step.eof.is_some()),
        ("signal", step.signal.is_some()),
        ("link", step.link.is_some()),
        ("power", step.power.is_some()),
        ("steps", !step.steps.is_empty()),
    ];
    words.into_iter().filter(|(_, is_there)| *is_there).map(|(word, _)| word).collect()
}

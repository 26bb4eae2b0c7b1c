//! Turns a step as written into actions, and reports what is wrong with it.

use super::{Action, LinkStep, Part, PowerStep, Recipient, Step, Which};
use crate::{
    exercise::names::Names,
    yaml::{Path, Text},
};

/// Resolves each step of a list.
pub fn resolve(steps: &[Step], names: &mut Names<'_>, path: &Path) -> Vec<Part> {
    let steps = steps.iter().enumerate();
    steps.map(|(n, step)| step.resolve(names, &path.index(n))).collect()
}

impl Step {
    /// Resolves the step. If something is wrong, returns the rest of it, so that the steps after it can be read.
    fn resolve(&self, names: &mut Names<'_>, path: &Path) -> Part {
        if let Some(name) = &self.about {
            names.listed(&path.key("about"), name);
        }
        let mut actions = Vec::new();
        if let Some(text) = &self.say {
            names.words(&path.key("say"), text);
            actions.push(Action::Say(text.clone()));
        }
        let done = self.act(names, path);
        let does_nothing = done.is_empty() && self.say.is_none() && self.times.is_none();
        actions.extend(done.into_iter().find_map(|(_, action)| action));
        let repeated = |names: &mut Names<'_>| resolve(&self.steps, names, &path.key("steps"));
        let parts = names.repeated(self.times, repeated);
        let observed = self.observe(names, path);
        if does_nothing && parts.is_empty() && observed.is_empty() {
            names.wrong(path, "a step that does nothing", None);
        }
        actions.extend(observed);
        self.belongs(names, path);
        Part { about: self.about.clone(), actions, parts, times: self.times }
    }

    /// Returns the one thing that it does, with its key, and with an action if it can be done.
    fn act(&self, names: &mut Names<'_>, path: &Path) -> Vec<(&'static str, Option<Action<Text>>)> {
        // All keys are listed, so that a new one cannot be forgotten. Those without an action are read elsewhere.
        let Self {
            start,
            type_line,
            send,
            eof,
            signal,
            link,
            power,
            steps,
            about: _,
            say: _,
            on: _,
            program: _,
            run: _,
            to: _,
            look: _,
            times: _,
            wait: _,
            require: _,
            within_ms: _,
        } = self;
        let to = self.recipient(names, path);
        let reader = || to.as_ref().map(|to| to.program.clone());
        let mut done = Vec::new();
        if let Some(name) = start {
            done.push(("start", self.start(name, names, path)));
        }
        if let Some(line) = type_line {
            names.command(&path.key("type"), line);
            done.push(("type", reader().map(|to| Action::Type { to, line: line.clone() })));
        }
        if let Some(bytes) = *send {
            done.push(("send", reader().map(|to| Action::Send { to, bytes })));
        }
        if let Some(program) = eof {
            names.program(&path.key("eof"), program);
            done.push(("eof", Some(Action::Eof(program.clone()))));
        }
        if let Some(name) = signal {
            let number = names.signal(&path.key("signal"), name, &[]);
            done.push(("signal", number.zip(to.clone()).map(|(signal, to)| Action::Signal { to, signal })));
        }
        if let Some(LinkStep { host, state }) = link {
            names.host(&path.key("link").key("host"), host);
            done.push(("link", Some(Action::Link { host: host.clone(), state: *state })));
        }
        if let Some(PowerStep { host, state }) = power {
            names.host(&path.key("power").key("host"), host);
            done.push(("power", Some(Action::Power { host: host.clone(), state: *state })));
        }
        let group = (!steps.is_empty()).then_some("steps");
        let words: Vec<&str> = done.iter().map(|(word, _)| *word).chain(group).collect();
        if let [one, other, ..] = words[..] {
            names.wrong(&path.key(other), format!("a step does one thing: `{one}` or `{other}`"), None);
        }
        done
    }

    fn start(&self, name: &Text, names: &mut Names<'_>, path: &Path) -> Option<Action<Text>> {
        names.start(&path.key("start"), name);
        match &self.on {
            None => names.wrong(&path.key("start"), format!("`start: {name}` needs `on: HOST`"), None),
            Some(host) => names.host(&path.key("on"), host),
        }
        let command = match (&self.program, &self.run) {
            (Some(program), None) => names.listed(&path.key("program"), program),
            (None, Some(command)) => {
                names.command(&path.key("run"), command);
                Some(command.clone())
            }
            _ => {
                let message = format!("`start: {name}` needs either `program: NAME` or `run: COMMAND`");
                names.wrong(&path.key("start"), message, None);
                None
            }
        };
        let (on, program) = (self.on.clone()?, self.program.clone());
        Some(Action::Start { name: name.clone(), on, command: command?, program })
    }

    /// What it types to, sends to or signals. Input goes only to a program, never to one of its processes.
    fn recipient(&self, names: &mut Names<'_>, path: &Path) -> Option<Recipient<Text>> {
        let reads = self.type_line.as_ref().map(|_| "type").or(self.send.map(|_| "send"));
        let verb = reads.or(self.signal.as_ref().map(|_| "signal"))?;
        let Some(to) = &self.to else {
            names.wrong(&path.key(verb), format!("`{verb}` needs `to: PROGRAM`"), None);
            return None;
        };
        let path = path.key("to");
        let (program, which) = match to.split_once('.') {
            Some((program, word)) => (Text::parse(program), Some(word)),
            None => (to.clone(), None),
        };
        names.program(&path, &program);
        let Some(word) = which else { return Some(Recipient { program, which: Which::First }) };
        let found = Which::NAMED.iter().find(|(known, _)| *known == word);
        if found.is_none() {
            names.none_of(&path, "process of a program", word, |_| {
                Which::NAMED.iter().map(|(known, _)| (*known).to_owned()).collect()
            });
        }
        if let (Some(verb), Some(_)) = (reads, found) {
            names.wrong(&path, format!("`{verb}` goes to a program, not to a process of it"), None);
        }
        found.map(|(_, which)| Recipient { program, which: *which })
    }

    /// Returns the waits and the look that follow its action. A group may have none of them.
    fn observe(&self, names: &mut Names<'_>, path: &Path) -> Vec<Action<Text>> {
        let Self { wait, require, look, within_ms, .. } = self;
        let within_ms = *within_ms;
        let mut actions = Vec::new();
        if let Some(facts) = wait {
            facts.check(names, &path.key("wait"));
            actions.push(("wait", Action::Wait { facts: facts.clone(), within_ms }));
        }
        if let Some(facts) = require {
            facts.check(names, &path.key("require"));
            actions.push(("require", Action::Require { facts: facts.clone(), within_ms }));
        }
        if let Some(name) = look {
            names.look(&path.key("look"), name);
            actions.push(("look", Action::Look(name.clone())));
        }
        for (key, _) in actions.iter().filter(|_| !self.steps.is_empty()) {
            let message = format!("`{key}` has no place beside `steps`: it is a step of its own");
            names.wrong(&path.key(key), message, None);
        }
        actions.into_iter().map(|(_, action)| action).collect()
    }

    /// Reports keys that mean nothing without the key they belong to.
    fn belongs(&self, names: &mut Names<'_>, path: &Path) {
        let starts = self.start.is_some();
        let sends = self.type_line.is_some() || self.send.is_some() || self.signal.is_some();
        for (key, is_there, its_word, word) in [
            ("on", self.on.is_some(), starts, "`start`"),
            ("program", self.program.is_some(), starts, "`start`"),
            ("run", self.run.is_some(), starts, "`start`"),
            ("to", self.to.is_some(), sends, "`type`, `send` or `signal`"),
        ] {
            if is_there && !its_word {
                names.wrong(&path.key(key), format!("`{key}` needs {word}"), None);
            }
        }
        if self.times.is_some() && self.steps.is_empty() {
            names.wrong(path, "`times` needs `steps` to repeat", None);
        }
    }
}

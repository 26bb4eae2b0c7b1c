//! What may be wrong with facts: above all, what would let them hold whatever happens.

use super::Checker;
use crate::{
    exercise::model::{ConversationFact, Count, Ended, Facts, Outcome, Processes, Range, Sockets},
    yaml::Path,
};

/// State letters of a process, as `ps` shows them.
const STATES: &str = "RSDTtZXI";

impl Checker<'_> {
    /// Checks facts that may be compared with so many of the looks.
    pub(super) fn facts(&mut self, facts: &Facts, path: &Path, looks: usize) {
        if facts.is_empty() {
            self.wrong(path, "no fact".into(), []);
        }
        if let Some(name) = &facts.listens {
            self.program(&path.key("listens"), name);
        }
        for (path, fact) in items(path, "sockets", &facts.sockets) {
            self.sockets(fact, &path);
        }
        for (path, fact) in items(path, "processes", &facts.processes) {
            self.processes(fact, &path);
        }
        for (path, fact) in items(path, "conversations", &facts.conversations) {
            self.conversations(fact, &path);
        }
        for (path, fact) in items(path, "program", &facts.program) {
            self.outcome(fact, &path);
        }
        for (path, fact) in items(path, "signaled", &facts.signaled) {
            self.program(&path.key("of"), &fact.of);
            self.signal(&path.key("signal"), &fact.signal, &[]);
            self.count(&path.key("count"), fact.count);
        }
        for (path, fact) in items(path, "outputs", &facts.outputs) {
            fact.of.iter().for_each(|name| self.program(&path.key("of"), name));
            self.count(&path.key("different"), fact.different);
        }
        for (path, fact) in items(path, "cpu", &facts.cpu) {
            self.since(&fact.of, &fact.since, &path, looks);
            self.count(&path.key("ticks"), fact.ticks);
        }
        for (path, fact) in items(path, "descriptors", &facts.descriptors) {
            self.since(&fact.of, &fact.since, &path, looks);
            self.count(&path.key("more"), fact.more);
        }
    }

    fn sockets(&mut self, fact: &Sockets, path: &Path) {
        self.host(&path.key("on"), &fact.on);
        self.port(fact.port.as_deref(), path);
        self.count(&path.key("count"), fact.count);
    }

    fn conversations(&mut self, fact: &ConversationFact, path: &Path) {
        if let Some(host) = &fact.from {
            self.host(&path.key("from"), host);
        }
        self.port(fact.port.as_deref(), path);
        self.count(&path.key("count"), fact.count);
    }

    fn processes(&mut self, fact: &Processes, path: &Path) {
        self.program(&path.key("of"), &fact.of);
        if let Some(letters) = &fact.state
            && (letters.is_empty() || !letters.chars().all(|c| STATES.contains(c)))
        {
            let message = format!("\"{letters}\" are no state letters: `ps` shows {STATES}");
            self.wrong(&path.key("state"), message, []);
        }
        if let Some(Ended::Word(word)) = &fact.died {
            self.signal(&path.key("died"), word, &["any"]);
        }
        for (key, signals) in [("catch", &fact.catch), ("ignore", &fact.ignore)] {
            signals.iter().enumerate().for_each(|(n, name)| self.signal(&path.key(key).index(n), name, &[]));
        }
        self.count(&path.key("count"), fact.count);
    }

    fn outcome(&mut self, fact: &Outcome, path: &Path) {
        self.program(&path.key("name"), &fact.name);
        if fact.prints.is_none() && fact.ended.is_none() {
            self.wrong(path, "neither what it `prints` nor how it `ended`".into(), []);
        }
        for (key, count) in [("lines", fact.lines), ("different", fact.different)] {
            let Some(count) = count else { continue };
            self.count(&path.key(key), count);
            if fact.prints.is_none() {
                self.wrong(&path.key(key), format!("`{key}` needs `prints`"), []);
            }
        }
        if let Some(Ended::Word(word)) = &fact.ended {
            self.signal(&path.key("ended"), word, &["running", "any"]);
        }
    }

    /// A port by its name; without a name, `port`.
    fn port(&mut self, name: Option<&str>, path: &Path) {
        let name = name.unwrap_or("port");
        if !self.exercise.ports.contains_key(name) {
            let known = |checker: &Self| checker.exercise.ports.keys().cloned().collect();
            self.none_of(&path.key("port"), "port", name, known);
        }
    }

    /// A comparison with a look, which must have been taken before.
    fn since(&mut self, program: &str, look: &str, path: &Path, looks: usize) {
        self.program(&path.key("of"), program);
        if self.looks.get_index_of(look).is_none_or(|taken| taken >= looks) {
            let known = |checker: &Self| checker.looks.iter().take(looks).cloned().collect();
            self.none_of(&path.key("since"), "earlier look", look, known);
        }
    }

    /// A number of things that is not just any.
    fn count(&mut self, path: &Path, count: Count) {
        if let Count::Range(Range { min: None | Some(0), max: None }) = count {
            self.wrong(path, "any number would do".into(), []);
        }
    }
}

/// The items of a fact that may be one or a list, with their places.
fn items<'f, T>(path: &Path, key: &str, facts: &'f [T]) -> Vec<(Path, &'f T)> {
    let place = |n| if facts.len() == 1 { path.key(key) } else { path.key(key).index(n) };
    facts.iter().enumerate().map(|(n, fact)| (place(n), fact)).collect()
}

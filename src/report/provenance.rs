//! Whose run a report is of, of what, where and when.

use super::{Evidence, teller::wording};
use crate::printable::visible;

/// What is known of where a run comes from, each a phrase of its own; a command is marked.
pub enum Phrase {
    /// Words.
    Words(String),
    /// What was typed, after a word or two on what it is.
    Command(&'static str, String),
    /// A program that was judged: the exercise's name for it, and its command line.
    Program(String, String),
}

impl Evidence {
    /// Whose run it is, of what command line, in which lab on what, when, and how long it took.
    pub(super) fn provenance(&self) -> Vec<Phrase> {
        let Self { origin, judged, outcome, plan, .. } = self;
        let mut all = Vec::new();
        all.extend(origin.by.as_deref().map(|by| Phrase::Words(format!("run by {}", visible(by)))));
        all.extend(origin.command.as_deref().map(|line| Phrase::Command("with", visible(line))));
        if let Some(name) = judged
            && let Some(line) = self.programs.get(name)
        {
            all.push(Phrase::Program(visible(name), visible(line)));
        }
        all.push(Phrase::Words(format!("in the lab “{}” on {}", visible(&plan.lab), outcome.runtime)));
        all.extend(self.begun("%Y-%m-%d %H:%M UTC").map(Phrase::Words));
        all.push(Phrase::Words(format!("took {}", wording::duration(outcome.elapsed_ms))));
        all
    }

    /// When it began, in a form of strftime(3).
    pub(super) fn begun(&self, form: &str) -> Option<String> {
        let first = self.timeline.events().first()?;
        let time = jiff::Timestamp::from_nanosecond(first.at.into()).ok()?;
        Some(time.strftime(form).to_string())
    }
}

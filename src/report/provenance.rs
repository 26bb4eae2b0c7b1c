//! Where a report comes from: whose run it is, what was run, where and when.

use super::{Evidence, teller::wording};
use crate::printable::visible;

/// What is known about a run's origin, one phrase each; commands are marked.
pub enum Phrase {
    /// Plain text.
    Words(String),
    /// A command as typed, after a word or two about it.
    Command(&'static str, String),
    /// A program under judgement: the exercise's name for it, and its command line.
    Program(String, String),
}

impl Evidence {
    /// Whose run it is, its command line, its lab and runtime, when it ran and how long it took.
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

    /// When it began, in a format of strftime(3).
    pub(super) fn begun(&self, form: &str) -> Option<String> {
        let first = self.timeline.events().first()?;
        let time = jiff::Timestamp::from_nanosecond(first.at.into()).ok()?;
        Some(time.strftime(form).to_string())
    }
}

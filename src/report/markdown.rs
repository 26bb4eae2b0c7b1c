//! A run as Markdown: the verdicts, and the run as it went.

use std::fmt::Write;

use super::{Evidence, Narrator, Style};
use crate::printable::{printable, visible};

/// The report of a run.
pub fn render(evidence: &Evidence) -> String {
    let outcome = &evidence.outcome;
    let mut text = format!(
        "# {}: {}\n\n{}\n\nVerdict: **{}**, on {}, in {} ms.\n\n| check | verdict | expected | observed |\n|---|---|---|---|\n",
        outcome.exercise, outcome.title, evidence.asks, outcome.verdict, outcome.runtime, outcome.elapsed_ms
    );
    for check in &outcome.checks {
        // A String can always be written to; here and below.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(&check.id),
            check.verdict,
            cell(&check.expected),
            cell(&check.observed)
        );
    }
    let _ = writeln!(text, "\n## Why\n\n{}\n\n## The run\n\n```text", evidence.explain);
    let hosts = evidence.plan.hosts.iter().map(|h| h.name.clone()).collect();
    let mut narrator = Narrator::new(Style::Plain, &evidence.plan.lab, hosts);
    for event in evidence.timeline.events() {
        if let Some(said) = narrator.tell(event) {
            let _ = writeln!(text, "{}", said.replace("```", "'''"));
        }
    }
    // Nothing of this steers a terminal, so whatever does is of others.
    printable(&text) + "\n```\n"
}

fn cell(text: &str) -> String {
    visible(&text.replace('\n', " ")).replace('|', "\\|")
}

//! A run as Markdown: the verdicts, and a brief account of the run.

use std::fmt::Write;

use super::{Evidence, Narrator, provenance::Phrase, teller::wording};
use crate::{
    judge::{CheckResult, Verdict},
    printable::{printable, visible},
};

/// The report of a run.
pub fn render(evidence: &Evidence) -> String {
    let outcome = &evidence.outcome;
    let passed = outcome.checks.iter().filter(|check| check.verdict == Verdict::Pass).count();
    let mut text = format!(
        "# {}: {}\n\n{}\n\nVerdict: **{}**, {passed} of {} checks pass.\n\n{}.\n\n\
         | check | verdict | expected | observed |\n|---|---|---|---|\n",
        outcome.exercise,
        outcome.title,
        evidence.asks,
        outcome.verdict,
        outcome.checks.len(),
        provenance(evidence),
    );
    for check in &outcome.checks {
        let observed = [check.observed.clone(), places(check)].concat();
        // Writing to a String cannot fail; the same holds below.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(&check.id),
            check.verdict,
            cell(&check.expected),
            cell(&observed)
        );
    }
    if !evidence.explain.is_empty() {
        let _ = writeln!(text, "\n## Why\n\n{}", evidence.explain);
    }
    text += "\n## The run\n\n```text\n";
    let mut narrator = Narrator::of(evidence);
    let mut write = |shown: Option<String>| {
        if let Some(shown) = shown {
            let _ = writeln!(text, "{}", shown.replace("```", "'''"));
        }
    };
    for event in evidence.timeline.events() {
        write(narrator.tell(event));
    }
    write(narrator.finish());
    // netlab's own text has no control sequences, so any that are found come from elsewhere.
    printable(&text) + "\n```\n"
}

/// Whose run it is, as a sentence.
fn provenance(evidence: &Evidence) -> String {
    let phrases = evidence.provenance().into_iter().map(|phrase| match phrase {
        Phrase::Words(words) => words,
        Phrase::Command(what, line) => format!("{what} `{line}`"),
        Phrase::Program(name, line) => format!("{name} is `{line}`"),
    });
    phrases.collect::<Vec<_>>().join(", ")
}

/// Where to look, if the check did not pass.
fn places(check: &CheckResult) -> String {
    match &check.moment {
        Some(moment) if check.verdict != Verdict::Pass => {
            let places: Vec<String> =
                wording::places(moment).into_iter().map(|place| place.to_string()).collect();
            format!(" (see {})", places.join(", "))
        }
        _ => String::new(),
    }
}

fn cell(text: &str) -> String {
    visible(&text.replace('\n', " ")).replace('|', "\\|")
}

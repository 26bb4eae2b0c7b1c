//! `report.html`: one self-contained file that needs neither a network nor a script.
//!
//! Whatever came from a program or from the wire appears as text only: the templates escape it, and the page
//! forbids itself to load or run anything.

mod anchors;
mod checks;
mod figure;
mod geometry;
mod labels;
mod steps;
mod svg;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(crate) use anchors::check_id;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Evidence, provenance::Phrase, teller::wording::Place};
use crate::{judge::Verdict, printable::steers};

const STYLE: &str = include_str!("style.css");
const NOTHING_FROM_OUTSIDE: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The report of a run.
pub fn render(evidence: &Evidence) -> String {
    let outcome = &evidence.outcome;
    let title = format!("Exercise {}: {}", outcome.exercise, outcome.title);
    let verdict = format!("{title} ({})", outcome.verdict);
    let figure = figure::section(evidence).into_string();
    let link = |place: &Place| link(place, &figure);
    let body = html! {
        header {
            p.eyebrow { "Exercise " (outcome.exercise) }
            h1 { (outcome.title) }
            (summary(evidence))
        }
        main {
            section aria-labelledby="asks" {
                h2 #asks { "What is asked" }
                (prose(&evidence.asks))
            }
            (checks::section(evidence, &link))
            (PreEscaped(&figure))
            @if !evidence.explain.is_empty() {
                section aria-labelledby="answer" {
                    h2 #answer { "The answer" }
                    (prose(&evidence.explain))
                }
            }
            (steps::section(evidence))
        }
        footer { (files(evidence)) }
    };
    page(&verdict, &body)
}

/// Where a place is in the page: in the figure or, for a look that the figure lacks, in the step-by-step account.
fn link(place: &Place, figure: &str) -> Option<String> {
    let id = match place {
        Place::Look(name) => anchors::look_id(name),
        Place::Packet(number) => anchors::packet_id(*number),
        Place::Process(process) => anchors::process_id(&process.host, process.pid),
        Place::End => return None,
    };
    let attribute = html! { i id=(id) {} }.into_string();
    let attribute = attribute.trim_start_matches("<i").trim_end_matches("></i>");
    if figure.contains(attribute) {
        return Some(id);
    }
    matches!(place, Place::Look(_)).then(|| steps::step_id(&id))
}

/// A page with that title that loads nothing from outside.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(NOTHING_FROM_OUTSIDE);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    // Control characters that no template has made visible do not belong in a page.
    page.into_string().replace(|c: char| steers(c) && c != '\n', "\u{fffd}")
}

fn summary(evidence: &Evidence) -> Markup {
    let outcome = &evidence.outcome;
    let passed = outcome.checks.iter().filter(|c| c.verdict == Verdict::Pass).count();
    html! {
        p.summary {
            (badge(outcome.verdict)) " "
            span { (passed) " of " (outcome.checks.len()) " checks pass" }
            @for phrase in evidence.provenance() {
                span {
                    @match phrase {
                        Phrase::Words(words) => (words),
                        Phrase::Command(what, line) => { (what) " " code { (line) } },
                        Phrase::Program(name, line) => { (name) " is " code { (line) } },
                    }
                }
            }
        }
    }
}

pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

/// A verdict, shown by a sign, a word and a colour.
pub(crate) fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (verdict) } { span aria-hidden="true" { (sign(verdict)) } " " (verdict) } }
}

/// A verdict as a sign, for sighted readers.
pub(crate) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Error => "?",
    }
}

/// A text whose paragraphs are separated by blank lines.
fn prose(text: &str) -> Markup {
    html! { @for paragraph in text.split("\n\n") { p { (paragraph) } } }
}

/// The other files of the run, in the same folder.
fn files(evidence: &Evidence) -> Markup {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = &evidence.outcome.artifacts;
    let (capture, json) = (name(&files.capture), name(&files.evidence));
    html! {
        p {
            "Beside this file: " a href=(capture) { (capture) } ", the packets, for Wireshark or tcpdump; "
            a href=(json) { (json) } ", everything that was done and seen."
        }
    }
}

//! The checks, with what carries each verdict.

use maud::{Markup, html};

use super::badge;
use crate::{
    judge::{CheckResult, Verdict},
    printable::{printable, visible},
};

/// The table of checks; on a narrow page, a card each.
pub fn section(checks: &[CheckResult]) -> Markup {
    html! {
        section aria-labelledby="checks" {
            h2 #checks { "What it had to show" }
            table.checks {
                thead { tr { th scope="col" { "Verdict" } th scope="col" { "Expected" } th scope="col" { "Observed" } } }
                tbody { @for check in checks { (row(check)) } }
            }
        }
    }
}

fn row(check: &CheckResult) -> Markup {
    html! {
        tr id={ "check-" (check.id) } {
            td { (badge(check.verdict)) }
            th scope="row" { span.expected { (check.expected) } code { (check.id) } }
            td {
                (visible(&check.observed))
                @if !check.evidence.is_empty() {
                    details {
                        summary { "evidence" span.hidden { " for " (check.id) } }
                        pre { @for line in &check.evidence { (printable(line)) "\n" } }
                    }
                }
                @if check.verdict != Verdict::Pass && !check.hints.is_empty() {
                    details {
                        summary { "hints" span.hidden { " for " (check.id) } }
                        ol { @for hint in &check.hints { li { (hint) } } }
                    }
                }
            }
        }
    }
}

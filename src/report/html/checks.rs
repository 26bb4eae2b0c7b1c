//! The checks, with the evidence for each verdict and where in the run to find it.

use maud::{Markup, html};

use super::{anchors, badge};
use crate::{
    judge::{CheckResult, Verdict},
    printable::{printable, visible},
    report::{
        Evidence,
        teller::wording::{self, Place},
    },
};

/// The table of checks; on a narrow page, one card per check. `link` gives the address of a place within the page.
pub fn section(evidence: &Evidence, link: &dyn Fn(&Place) -> Option<String>) -> Markup {
    html! {
        section aria-labelledby="checks" {
            h2 #checks { "What it had to show" }
            table.checks {
                thead { tr { th scope="col" { "Verdict" } th scope="col" { "Expected" } th scope="col" { "Observed" } } }
                tbody { @for check in &evidence.outcome.checks { (row(evidence, check, link)) } }
            }
        }
    }
}

fn row(evidence: &Evidence, check: &CheckResult, link: &dyn Fn(&Place) -> Option<String>) -> Markup {
    let hints = evidence.hints(check);
    let has_failed = check.verdict != Verdict::Pass;
    html! {
        tr id=(anchors::check_id(&check.id)) {
            td { (badge(check.verdict)) }
            th scope="row" { span.expected { (check.expected) } code { (check.id) } }
            td {
                (visible(&check.observed))
                @if let Some(moment) = &check.moment {
                    @let all = wording::places(moment);
                    // For a check that passed, its moment is enough.
                    (places(if has_failed { &all } else { &all[..1] }, link))
                }
                @if !check.evidence.is_empty() {
                    details {
                        summary { "evidence" span.hidden { " for " (check.id) } }
                        pre { @for line in &check.evidence { (printable(line)) "\n" } }
                    }
                }
                @if has_failed && !check.by_hand.is_empty() {
                    details {
                        summary { "by hand" span.hidden { " for " (check.id) } }
                        pre { @for line in &check.by_hand { (visible(line)) "\n" } }
                    }
                }
                @if !hints.is_empty() {
                    details {
                        summary { "hints" span.hidden { " for " (check.id) } }
                        ol { @for hint in hints { li { (hint) } } }
                    }
                }
            }
        }
    }
}

/// Where to look, with links to what the page shows of it.
fn places(places: &[Place], link: &dyn Fn(&Place) -> Option<String>) -> Markup {
    html! {
        p.places {
            "See "
            @for (n, place) in places.iter().enumerate() {
                @if n > 0 { ", " }
                @match link(place) {
                    Some(id) => a href={ "#" (id) } { (place) },
                    None => (place),
                }
            }
        }
    }
}

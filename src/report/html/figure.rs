//! The figure of a run with its legend, followed by a table with the same contents.

use std::{borrow::Cow, collections::HashSet};

use maud::{Markup, html};

use super::{
    anchors::{EVERYTHING, anchors},
    geometry::{Geometry, NARROW, WIDE},
    labels::{bulk, clock, flags},
    svg,
};
use crate::report::{
    Evidence,
    fold::drawable,
    ladder::{Activity, Density, Detail, Followed, Holder, Item, Ladder},
};

/// The figure, drawn in two widths; the page shows the one that fits. Where many clients did the same, a third
/// figure shows all of them and is folded away.
pub fn section(evidence: &Evidence) -> Markup {
    let run = Followed::new(Cow::Borrowed(evidence));
    // What is laid out to find out how much can be drawn is the narrow figure already.
    const { assert!(matches!(NARROW.density, Density::Single)) }
    let ((few, narrow), (everything, listed)) =
        (drawable(&run, Detail::Few), drawable(&run, Detail::Clients));
    let [few, everything] = [&few, &everything].map(|part| part.as_ref().unwrap_or(&run));
    let evidence = &*few.evidence;
    let wide = few.ladder(WIDE.density, Detail::Few);
    if wide.is_empty() {
        return html! {};
    }
    let title = format!("Sequence diagram of exercise {}", evidence.outcome.exercise);
    let description = description(&wide);
    let mut ids = HashSet::new();
    let [on_a_screen, on_a_phone] = [Geometry::new(&wide, WIDE), Geometry::new(&narrow, NARROW)];
    let all = (wide.more > 0).then(|| everything.ladder(WIDE.density, Detail::Clients));
    html! {
        section aria-labelledby="ladder" {
            h2 #ladder { "What happened" }
            figure {
                (svg::hatching())
                div.scroll {
                    div.frame {
                        (svg::draw(&on_a_screen, "wide", "wide", &title, &description))
                        (svg::draw(&on_a_phone, "narrow", "narrow", &title, &description))
                        (anchors(evidence, &on_a_screen, Some(&on_a_phone), &mut ids))
                    }
                }
                figcaption { (caption()) (legend(&wide)) }
            }
            @if let Some(all) = &all {
                details {
                    summary { "The same with every client: " (wide.more) " more" }
                    @let geometry = Geometry::new(all, WIDE);
                    div.scroll {
                        div.frame #(EVERYTHING) {
                            (svg::draw(&geometry, "all", "", &title, &description))
                            (anchors(&everything.evidence, &geometry, None, &mut ids))
                        }
                    }
                }
            }
            details {
                summary { "The same as a table" }
                (table(&listed))
            }
        }
    }
}

fn caption() -> Markup {
    html! {
        p {
            "Time runs downwards, in milliseconds since the run began. Each row is a moment at which something "
            "happened, so the rows are not to scale; where nothing happened for long, the lines are cut and the wait "
            "is named. Segments have the times of the wire. Sockets and processes are sampled: a state is drawn at the "
            "segment that made it if one did, and else where it was first seen; between two states that were seen "
            "there is a gap if the ones in between were not. The pid beside a state is the process that holds the "
            "socket. Words in quotation marks were printed."
        }
    }
}

/// Describes the picture in a sentence or two.
fn description(ladder: &Ladder) -> String {
    let hosts: Vec<_> = ladder.hosts.iter().map(|h| h.name.as_str()).collect();
    let packets = |item: &Item| match item {
        Item::Arrow { .. } => 1,
        Item::Bulk { packets, .. } => *packets,
        _ => 0,
    };
    let arrows: usize = ladder.rows.iter().flat_map(|r| &r.items).map(packets).sum();
    format!(
        "{arrows} packets between {}, from top to bottom, with the states of their sockets and {} processes of the \
         server beside them. The table after the picture has the same in words.",
        hosts.join(", "),
        ladder.lifelines.len()
    )
}

fn legend(ladder: &Ladder) -> Markup {
    let is = |wanted| ladder.lifelines.iter().flat_map(|l| &l.spans).any(|s| s.is == wanted);
    let hollow = ladder.sockets.iter().flat_map(|s| &s.spans).any(|s| s.is.holder == Holder::Nobody);
    let bar = |content: Markup| html! { svg class="key" viewBox="0 0 34 12" width="34" height="12" aria-hidden="true" { (content) } };
    let lifeline = |class: &str| bar(html! { line class=(class) x1="1" x2="33" y1="6" y2="6" {} });
    html! {
        ul.legend {
            @for state in ladder.states() {
                li {
                    (bar(html! { line class={ "state " (svg::class(state)) } stroke-dasharray=[svg::dashes(state)] x1="0" x2="34" y1="6" y2="6" stroke-width="7" {} }))
                    code { (state) }
                }
            }
            @if hollow {
                li {
                    (bar(html! {
                        line class="state time-wait" x1="0" x2="34" y1="6" y2="6" stroke-width="7" {}
                        line class="hollow" x1="1.5" x2="32.5" y1="6" y2="6" stroke-width="3.5" {}
                    }))
                    "hollow: no process holds the socket"
                }
            }
            @if !ladder.lifelines.is_empty() { li { (lifeline("life")) "process, asleep" } }
            @if is(Activity::Running) { li { (lifeline("life running")) "running" } }
            @if is(Activity::Stopped) { li { (lifeline("life stopped")) "stopped" } }
            @if is(Activity::Zombie) {
                li { (bar(html! { rect class="zombie" fill={ "url(#" (svg::ZOMBIE) ")" } x="1" y="2" width="32" height="8" {} })) "zombie" }
            }
        }
    }
}

/// Everything the picture shows, in order.
fn table(ladder: &Ladder) -> Markup {
    let host = |i: usize| ladder.hosts[i].name.as_str();
    html! {
        div.scroll {
            table.events {
                thead { tr { th scope="col" { "ms" } th scope="col" { "where" } th scope="col" { "what" } } }
                @for row in &ladder.rows {
                    @for item in &row.items {
                        @match item {
                            Item::Step { number, text } => tr { th colspan="3" scope="rowgroup" { (number) ". " (text) } },
                            Item::Wait { .. } | Item::Unseen { .. } | Item::Verdict { .. } => {},
                            Item::Arrow { packet, .. } => tr {
                                td { (clock(row.at)) }
                                td { (packet.from) ":" (packet.from_port) " → " (packet.to) ":" (packet.to_port) }
                                td { (flags(packet)) }
                            },
                            Item::Bulk { from, to, packets, bytes, lines } => tr {
                                td { (clock(row.at)) }
                                td { (host(from.host)) " ↔ " (host(to.host)) }
                                td { (bulk(*packets, *bytes, *lines)) " (each of them is in the capture)" }
                            },
                            Item::Socket { place, text, .. } => tr { td { (clock(row.at)) } td { (host(place.host)) } td { (text) } },
                            Item::Note { place, text, .. } => tr { td { (clock(row.at)) } td { (host(place.host)) } td { (text) } },
                            Item::Process { text, .. } => tr { td { (clock(row.at)) } td { "process" } td { (text) } },
                        }
                    }
                }
            }
        }
    }
}

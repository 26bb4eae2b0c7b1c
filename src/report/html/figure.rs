//! The ladder diagram with its legend, and the table of the same behind it.

use maud::{Markup, html};

use super::{
    geometry::{NARROW, WIDE},
    labels::{bulk, clock, flags},
    svg,
};
use crate::report::{
    Evidence,
    fold::drawable,
    ladder::{Activity, Item, Ladder},
};

/// The ladder, drawn twice: the page shows the one that fits.
pub fn section(evidence: &Evidence) -> Markup {
    let evidence = &*drawable(evidence);
    let wide = Ladder::new(evidence, WIDE.density);
    if wide.is_empty() {
        return html! {};
    }
    let narrow = Ladder::new(evidence, NARROW.density);
    let title = format!("Ladder diagram of exercise {}", evidence.outcome.exercise);
    let told = told(&wide);
    html! {
        section aria-labelledby="ladder" {
            h2 #ladder { "What happened" }
            figure {
                (svg::hatching())
                div.scroll {
                    (svg::draw(&wide, WIDE, "wide", &title, &told))
                    (svg::draw(&narrow, NARROW, "narrow", &title, &told))
                }
                figcaption {
                    p {
                        "Time runs downwards, in milliseconds since the run began. Each row is a moment at which "
                        "something happened, so the rows are not to scale; where nothing happened for long, the "
                        "lines are cut and the wait is named. Packets have the times of the wire; sockets and "
                        "processes change at the moment at which they were seen to have changed. The pid "
                        "beside a state is the process that holds the socket. Words in quotation marks were printed."
                    }
                    (legend(&wide))
                }
            }
            details {
                summary { "The same as a table" }
                (table(&narrow))
            }
        }
    }
}

/// The picture in a sentence or two.
fn told(ladder: &Ladder) -> String {
    let hosts: Vec<_> = ladder.hosts.iter().map(|h| h.name.as_str()).collect();
    let packets = |item: &Item| match item {
        Item::Arrow { .. } => 1,
        Item::Bulk { packets, .. } => *packets,
        _ => 0,
    };
    let arrows: usize = ladder.rows.iter().flat_map(|r| &r.items).map(packets).sum();
    format!(
        "{arrows} packets between {}, from top to bottom, with the states of their sockets and {} processes of the \
         server beside them. The table after the picture tells the same.",
        hosts.join(", "),
        ladder.lives.len()
    )
}

fn legend(ladder: &Ladder) -> Markup {
    let is = |wanted| ladder.lives.iter().flat_map(|l| &l.spans).any(|s| s.is == wanted);
    let hollow = ladder.strands.iter().flat_map(|s| &s.spans).any(|s| s.is.owner.is_none());
    let bar = |content: Markup| html! { svg class="key" viewBox="0 0 34 12" width="34" height="12" aria-hidden="true" { (content) } };
    let life = |class: &str| bar(html! { line class=(class) x1="1" x2="33" y1="6" y2="6" {} });
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
            @if !ladder.lives.is_empty() { li { (life("life")) "process, asleep" } }
            @if is(Activity::Running) { li { (life("life running")) "running" } }
            @if is(Activity::Stopped) { li { (life("life stopped")) "stopped" } }
            @if is(Activity::Zombie) {
                li { (bar(html! { rect class="zombie" fill={ "url(#" (svg::ZOMBIE) ")" } x="1" y="2" width="32" height="8" {} })) "zombie" }
            }
        }
    }
}

/// Everything that the picture shows, in order.
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
                            Item::Wait { .. } => {},
                            Item::Arrow { packet, .. } => tr {
                                td { (clock(row.at)) }
                                td { (packet.from) ":" (packet.from_port) " → " (packet.to) ":" (packet.to_port) }
                                td { (flags(packet)) }
                            },
                            Item::Bulk { from, to, packets, bytes, .. } => tr {
                                td { (clock(row.at)) }
                                td { (host(from.host)) " ↔ " (host(to.host)) }
                                td { (bulk(*packets, *bytes)) " (each of them is in the capture)" }
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

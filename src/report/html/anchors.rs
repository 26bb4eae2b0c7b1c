//! Link targets on the page: the ids of checks and of moments in the figure, and where the latter are.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};

use super::geometry::Geometry;
use crate::{
    report::{
        Evidence,
        ladder::{Item, Ladder, NoteKind, Transition},
    },
    timeline::What,
};

/// The figure that shows everything.
pub const EVERYTHING: &str = "every-client";

/// A check, in the table of checks.
pub fn check_id(check: &str) -> String {
    format!("check-{check}")
}

/// A look, in the figure.
pub fn look_id(name: &str) -> String {
    format!("look-{}", word(name))
}

/// A packet by its number in the capture, in the figure.
pub fn packet_id(number: u64) -> String {
    format!("packet-{number}")
}

/// The beginning of a process, in the figure.
pub fn process_id(host: &str, pid: i32) -> String {
    format!("process-{}-{pid}", word(host))
}

/// An id has no white space (HTML, 3.2.6).
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() || c.is_control() { '-' } else { c }).collect()
}

/// Everything in a figure that has an id, with its row; each id appears once.
fn anchored(evidence: &Evidence, ladder: &Ladder) -> Vec<(String, usize)> {
    // Checks ask about the last look of a name.
    let looks = evidence.timeline.events().iter().filter_map(|event| match &event.what {
        What::Look { name } => Some(name),
        _ => None,
    });
    let looks: Vec<&String> = looks.collect();
    let mut nth = 0;
    let mut ids = Vec::new();
    for (row, content) in ladder.rows.iter().enumerate() {
        for item in &content.items {
            match item {
                Item::Arrow { packet, .. } if packet.number > 0 => ids.push((packet_id(packet.number), row)),
                Item::Process { lifeline, transition: Transition::Born, .. } => {
                    let line = &ladder.lifelines[*lifeline];
                    ids.push((process_id(&line.host, line.pid), row));
                }
                Item::Note { kind: NoteKind::Look, .. } => {
                    if let Some(name) = looks.get(nth).filter(|name| !looks[nth + 1..].contains(name)) {
                        ids.push((look_id(name), row));
                    }
                    nth += 1;
                }
                _ => {}
            }
        }
    }
    ids
}

/// Elements with these ids beside the pictures, each at the height of what it names. The page has each id only once,
/// and shows one picture or the other. `taken` holds the ids already in use.
pub fn anchors(
    evidence: &Evidence,
    wide: &Geometry,
    narrow: Option<&Geometry>,
    taken: &mut HashSet<String>,
) -> Markup {
    let place = |g: &Geometry, row: usize| format!("{:.2}%", 100.0 * g.tops[row] / g.height);
    let below: HashMap<String, String> = narrow
        .map(|g| anchored(evidence, g.ladder).into_iter().map(|(id, row)| (id, place(g, row))).collect())
        .unwrap_or_default();
    let all = anchored(evidence, wide.ladder).into_iter().filter(|(id, _)| taken.insert(id.clone()));
    html! {
        @for (id, row) in all {
            @let on_a_phone = below.get(&id).map(|place| format!(";--n:{place}")).unwrap_or_default();
            i id=(id) style={ "--w:" (place(wide, row)) (on_a_phone) } {}
        }
    }
}

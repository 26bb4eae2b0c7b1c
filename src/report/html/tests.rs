use std::collections::HashSet;

use super::{
    anchors::{packet_id, process_id},
    geometry::{BOLD, Geometry, Measures, NAME, NARROW, WIDE},
    labels::{Label, labels},
    render,
};
use crate::{
    capture::TcpState,
    judge::{Moment, ProcessId, Verdict},
    report::{
        Evidence,
        ladder::{Density, Detail, Holder, Item, Ladder, tests::records},
    },
    timeline::What,
};

/// The smallest letters of a figure relative to its usual ones, as in `style.css`.
const SMALLEST: f64 = 0.95;

/// A run of exercise 2, as an earlier netlab recorded it.
fn run() -> Evidence {
    serde_json::from_str(include_str!("../../../tests/fixtures/run/evidence.json")).unwrap()
}

#[test]
fn commands_are_for_the_lab_of_the_run() {
    let mut run = run();
    run.plan.lab = "mine".into();
    let page = render(&run);
    assert!(page.contains("netlab exec --lab mine client1 -- "), "in its own lab");
    assert!(!page.contains("netlab exec client1"), "in no other");
}

/// The same run, with every text that a program or the wire can choose replaced.
fn hostile(text: &str) -> Evidence {
    let mut run = run();
    run.outcome.title = text.into();
    run.asks = text.into();
    run.explain = text.into();
    for check in &mut run.outcome.checks {
        check.observed = text.into();
        check.evidence = vec![text.into()];
    }
    let mut events = run.timeline.events().to_vec();
    for event in &mut events {
        match &mut event.what {
            What::Say { text: told } | What::Printed { text: told, .. } | What::Typed { text: told, .. } => {
                *told = text.into();
            }
            What::Packet(packet) => packet.line = text.into(),
            What::Started { redo, .. } => *redo = text.into(),
            What::Processes { rows, .. } => {
                for row in rows {
                    (row.name, row.argv) = (text.into(), vec![text.into()]);
                }
            }
            _ => {}
        }
    }
    run.timeline = serde_json::from_value(serde_json::to_value(events).unwrap()).unwrap();
    run
}

/// Elements that have no end tag.
const VOID: [&str; 1] = ["meta"];

/// The names of all elements in order, if each is closed where it must be.
fn elements(page: &str) -> Vec<String> {
    let page = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let (mut open, mut all) = (Vec::new(), Vec::new());
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(end) => assert_eq!(open.pop().as_deref(), Some(end), "ends where it must"),
            None if VOID.contains(&name) => all.push(name.to_owned()),
            None => {
                open.push(name.to_owned());
                all.push(name.to_owned());
            }
        }
    }
    assert_eq!(open, [""; 0], "nothing stays open");
    all
}

fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let start = format!(" {name}=\"");
    page.split(&*start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    let page = render(&run());
    assert!(elements(&page).iter().all(|name| !["script", "img", "link", "iframe"].contains(&name.as_str())));
    let without_name = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!without_name.contains("://"), "no address of the outside");
    assert!(!without_name.contains("@import"));

    let ids = attributes(&page, "id");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "every id once");
    let named = attributes(&page, "aria-labelledby").into_iter().flat_map(str::split_whitespace);
    assert!(named.into_iter().all(|name| ids.contains(&name)), "whatever names is there");
}

#[test]
fn hostile_text_stays_text() {
    let text = "</pre><script>alert(1)</script>\" onload=\"x\" '&lt;\x1b[2J\u{7f}";
    let (page, plain) = (render(&hostile(text)), render(&hostile("plain")));
    // Labels wrap and are cut by their length.
    let shape = |page| {
        elements(page).into_iter().filter(|e| !["text", "title"].contains(&e.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(shape(&page), shape(&plain), "no element more or less");
    assert!(attributes(&page, "onload").is_empty());
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "no control character");
}

#[test]
fn the_table_tells_what_the_picture_shows() {
    let page = render(&run());
    let table = page.split("class=\"events\"").nth(1).unwrap().split("</table>").next().unwrap();
    for told in
        ["SYN+ACK", "PSH+ACK · 19 B", "TIME_WAIT", "forked by", "SIGINT", "types “hello from client1”"]
    {
        assert!(table.contains(told), "{told}");
    }
}

#[test]
fn labels_neither_overlap_nor_leave_the_picture() {
    let long = "a text that is far too long for whatever place it may come to stand at ".repeat(3);
    let recorded = records().into_iter().map(|(_, evidence)| evidence);
    for evidence in [run(), hostile(&long)].into_iter().chain(recorded) {
        for measures in [WIDE, NARROW] {
            let ladder = Ladder::new(&evidence, measures.density, Detail::Few);
            let g = Geometry::new(&ladder, measures);
            let labels = labels(&g);
            for (i, label) in labels.iter().enumerate() {
                let (left, right) = extent(label, measures);
                assert!(left > -1.0 && right < g.width + 1.0, "{label:?} in {}", g.width);
                for other in &labels[i + 1..] {
                    let beside = extent(other, measures);
                    let apart = right <= beside.0 || beside.1 <= left;
                    let above = (label.y - other.y).abs() >= measures.font * 0.95;
                    assert!(apart || above, "{label:?} and {other:?}");
                }
            }
        }
    }
}

fn extent(label: &Label, measures: Measures) -> (f64, f64) {
    let scale = match label.class {
        "step" => BOLD,
        "name" => NAME,
        "time" | "note wait" => SMALLEST,
        _ => 1.0,
    };
    label.extent(measures.font * scale)
}

#[test]
fn rows_are_in_the_order_of_time() {
    for density in [Density::Shared, Density::Single] {
        let ladder = Ladder::new(&run(), density, Detail::Few);
        assert!(ladder.rows.is_sorted_by_key(|row| row.at));
        let spans = ladder.sockets.iter().flat_map(|s| s.spans.iter().map(|s| (s.from, s.until)));
        let lifelines = ladder.lifelines.iter().flat_map(|l| l.spans.iter().map(|s| (s.from, s.until)));
        assert!(spans.chain(lifelines).all(|(from, until)| from < until && until <= ladder.rows.len()));
    }
}

#[test]
fn two_clients_stand_beside_their_server() {
    let ladder = Ladder::new(&run(), Density::Shared, Detail::Few);
    let names: Vec<_> = ladder.hosts.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names, ["client1", "server", "client2"]);

    let states = |host: usize| -> Vec<Vec<TcpState>> {
        let strands = ladder.sockets.iter().filter(|s| s.host == host);
        strands.map(|s| s.spans.iter().map(|span| span.is.state).collect()).collect()
    };
    let client = [TcpState::Established, TcpState::TimeWait];
    assert_eq!((states(0), states(2)), (vec![client.to_vec()], vec![client.to_vec()]));
    assert_eq!(states(1).len(), 3, "two connections and who listens");
    assert!(
        ladder
            .sockets
            .iter()
            .flat_map(|s| &s.spans)
            .all(|s| (s.is.state == TcpState::TimeWait) == (s.is.holder == Holder::Nobody))
    );

    let parents: Vec<_> = ladder.lifelines.iter().map(|l| l.parent).collect();
    assert_eq!(parents, [None, Some(0), Some(0)]);
    let packets = |from: usize| {
        let items = ladder.rows.iter().flat_map(|row| &row.items);
        items.filter(|i| matches!(i, Item::Arrow { from: f, .. } if f.host == from)).count()
    };
    // SYN, ACK, a line, its echo's ACK, FIN, ACK; and a second line from the first client.
    assert!(packets(0) >= 7 && packets(2) >= 5, "{} and {}", packets(0), packets(2));
}

#[test]
fn figures_fit_a_few_screens_and_can_be_read() {
    for (name, evidence) in records() {
        for measures in [WIDE, NARROW] {
            let ladder = Ladder::new(&evidence, measures.density, Detail::Few);
            let height = Geometry::new(&ladder, measures).height;
            assert!(height < 8000.0, "{name}: {height} px");
            // Pictures have their natural size on the page.
            assert!(measures.font * SMALLEST >= 10.9, "{} px", measures.font);
        }
    }
}

#[test]
fn a_failed_check_and_its_moment_lead_to_each_other() {
    let (_, mut evidence) = records().into_iter().find(|(_, e)| e.outcome.exercise == "5").unwrap();
    let packets = evidence.timeline.events().iter().filter_map(|event| match &event.what {
        What::Packet(packet) => Some(packet.number),
        _ => None,
    });
    // For one of many clients that did the same.
    let packet = packets.clone().nth(packets.count() / 3).unwrap();
    let process = Ladder::new(&evidence, Density::Shared, Detail::Clients).lifelines.pop().unwrap();
    let process = ProcessId { host: process.host, pid: process.pid };
    let moments = [
        Moment { look: Some("with-reaper".into()), ..Moment::default() },
        Moment { packet: Some(packet), ..Moment::default() },
        Moment { process: Some(process.clone()), ..Moment::default() },
    ];
    let ids = ["look-with-reaper".into(), packet_id(packet), process_id(&process.host, process.pid)];
    for (check, moment) in evidence.outcome.checks.iter_mut().zip(moments) {
        (check.verdict, check.moment) = (Verdict::Fail, Some(moment));
    }
    let page = render(&evidence);
    let all = attributes(&page, "id");
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "every id once");
    assert!(ids.iter().all(|id| all.contains(&&**id)), "{ids:?}");
    let figure = page.split("<figure>").nth(1).unwrap().split("</figure>").next().unwrap();
    assert!(ids.iter().all(|id| figure.contains(&format!("id=\"{id}\""))), "what failed is not folded away");
    for check in &evidence.outcome.checks[..3] {
        assert!(figure.contains(&format!("href=\"#check-{}\"", check.id)), "{}", check.id);
    }
}

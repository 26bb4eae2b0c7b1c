//! Everything the figure shows, each with its moment and its label.

use std::collections::HashMap;

use super::{
    Item, NoteKind, Place,
    alike::Alike,
    lifelines::Lifeline,
    order::{Moment, Rank},
    sockets::{Change, Holder, Key, Look, SocketLine, lanes_of, side},
};
use crate::{
    capture::TcpState,
    judge::Verdict,
    printable::visible,
    report::Evidence,
    timeline::{Event, What},
};

/// What is shown, and where.
pub(super) struct Shown<'s> {
    pub evidence: &'s Evidence,
    pub hosts: &'s [String],
    pub sockets: &'s [SocketLine],
    pub lifelines: &'s [Lifeline],
    pub alike: &'s Alike,
}

impl Shown<'_> {
    /// Every item, in order.
    pub fn items(&self) -> Vec<(Moment, Item)> {
        let mut items: Vec<(Moment, Item)> = Vec::new();
        self.done(&mut items);
        self.packets(&mut items);
        for (line, lifeline) in self.lifelines.iter().enumerate() {
            let all = lifeline.transitions.iter();
            items.extend(all.map(|(at, transition, text)| {
                (*at, Item::Process { lifeline: line, transition: *transition, text: visible(text) })
            }));
        }
        for (line, socket) in self.sockets.iter().enumerate() {
            self.socket(line, socket, &mut items);
        }
        items.extend(self.alike.more.iter().filter_map(|more| {
            let host = self.hosts.iter().position(|host| *host == more.host)?;
            let item = self.note(host, NoteKind::More, format!("… and {} more like these", more.count));
            Some((Moment::event(more.at), item))
        }));
        self.verdicts(&mut items);
        items.sort_by_key(|(at, _)| *at);
        items
    }

    fn packets(&self, items: &mut Vec<(Moment, Item)>) {
        let lanes = lanes_of(self.sockets);
        let place = |key: &Key| {
            let host = self.hosts.iter().position(|host| *host == key.host)?;
            Some(Place { host, lane: lanes.get(key).copied().unwrap_or_default() })
        };
        for event in self.evidence.timeline.events() {
            // A packet of another port is not part of the exercise, and has no socket here.
            if let What::Packet(packet) = &event.what
                && super::concerns(self.evidence, packet.from_port, packet.to_port)
                && let [from, to] = &Key::ends(packet)
                && !self.alike.hides(from)
                && let (Some(from), Some(to)) = (place(from), place(to))
            {
                items.push((Moment::event(event.at), Item::Arrow { packet: packet.clone(), from, to }));
            }
        }
    }

    fn socket(&self, line: usize, socket: &SocketLine, items: &mut Vec<(Moment, Item)>) {
        let place = Place { host: socket.host, lane: socket.lane };
        let has_lifelines = self.lifelines.iter().any(|lifeline| lifeline.host == self.hosts[socket.host]);
        let mut before = None;
        for (at, change) in &socket.changes {
            let item = match label(socket, *change, before, has_lifelines) {
                Some(text) => Item::Socket { line, place, side: socket.side, text },
                None => Item::Unseen { line },
            };
            items.push((*at, item));
            before = match change {
                Change::Looks(look) => Some(*look),
                // The last known look still holds.
                Change::Unseen => before,
                Change::Gone => None,
            };
        }
    }

    /// What was typed, printed and done on the hosts.
    fn done(&self, items: &mut Vec<(Moment, Item)>) {
        let mut on: HashMap<&str, &str> = HashMap::new();
        let mut steps = 0;
        for event in self.evidence.timeline.events() {
            match &event.what {
                What::Say { text } => {
                    steps += 1;
                    let at = Moment { at: event.at, rank: Rank::Step };
                    items.push((at, Item::Step { number: steps, text: visible(text) }));
                }
                What::Started { program, host, .. } => drop(on.insert(program, host)),
                _ => self.noted(event, &on, items),
            }
        }
    }

    fn noted<'e>(&self, event: &'e Event, on: &HashMap<&str, &'e str>, items: &mut Vec<(Moment, Item)>) {
        let mut note = |host: &str, kind, text: String| {
            if let Some(host) = self.hosts.iter().position(|h| h == host) {
                items.push((Moment::event(event.at), self.note(host, kind, text)));
            }
        };
        let server = self.hosts.iter().find(|host| super::is_server(&self.evidence.plan, host));
        let server = server.map_or("", String::as_str);
        let hides = |program: &str| self.alike.programs.contains(program);
        match &event.what {
            What::Typed { program, .. }
            | What::EndOfFile { program }
            | What::Printed { program, .. }
            | What::Ended { program, .. }
                if hides(program) => {}
            What::Typed { program, text } => {
                note(on.get(&**program).unwrap_or(&""), NoteKind::Input, format!("types {}", quoted(text)));
            }
            What::EndOfFile { program } => {
                note(on.get(&**program).unwrap_or(&""), NoteKind::Input, "^D, end of file".into());
            }
            What::Printed { host, text, .. } => {
                for line in text.lines().filter(|line| host != server || !self.alike.is_about(line)) {
                    note(host, NoteKind::Output, quoted(line));
                }
            }
            What::Ended { program, host, status } => {
                note(host, NoteKind::Output, format!("{program}: {status}"));
            }
            // A signal to a process of the server's is drawn with the process.
            What::Signaled { host, pid, name, signal, .. }
                if self.lifelines.iter().all(|l| l.pid != *pid || l.host != *host)
                    && !self.alike.hides_process(host, *pid) =>
            {
                note(host, NoteKind::Input, format!("{signal} → {} {pid}", visible(name)));
            }
            What::Switched { host, text, .. } => note(host, NoteKind::Remark, text.clone()),
            What::Look { name } => note(server, NoteKind::Look, format!("look “{}”", visible(name))),
            What::TimedOut { waited_ms, .. } => {
                note(server, NoteKind::Remark, format!("gave up after {waited_ms} ms"));
            }
            What::ObservationLost { why } => {
                note(server, NoteKind::Remark, format!("observation lost: {}", visible(why)));
            }
            What::CaptureFull { .. } => note(server, NoteKind::Remark, "the capture is full".into()),
            What::LeftOut(left) => note(server, NoteKind::Remark, left.to_string()),
            _ => {}
        }
    }

    fn note(&self, host: usize, kind: NoteKind, text: String) -> Item {
        let side = side(host, self.hosts.len(), false);
        Item::Note { place: Place { host, lane: 0 }, side, kind, text }
    }

    /// Every check that did not pass, at the moment it is about.
    fn verdicts(&self, items: &mut Vec<(Moment, Item)>) {
        let events = self.evidence.timeline.events();
        let end = events.last().map_or(0, |event| event.at);
        for check in self.evidence.outcome.checks.iter().filter(|check| check.verdict != Verdict::Pass) {
            let moment = check.moment.as_ref();
            let is_it = |event: &&Event| match &event.what {
                What::Packet(packet) => moment.and_then(|m| m.packet) == Some(packet.number),
                What::Look { name } => moment.and_then(|m| m.look.as_ref()) == Some(name),
                _ => false,
            };
            let packet = events.iter().find(|e| is_it(e) && matches!(e.what, What::Packet(_)));
            let at = packet.or(events.iter().rfind(is_it)).map_or(end, |event| event.at);
            let text = format!("{}: {}", check.id, visible(&check.observed));
            let item = Item::Verdict { check: check.id.clone(), verdict: check.verdict, text };
            items.push((Moment { at, rank: Rank::Verdict }, item));
        }
    }
}

/// The label for a socket's change; none if no table showed the new state.
fn label(line: &SocketLine, now: Change, before: Option<Look>, with_holder: bool) -> Option<String> {
    let look = match now {
        Change::Looks(look) => look,
        Change::Unseen => return None,
        Change::Gone => {
            return Some(match before.map(|look| look.state) {
                Some(TcpState::Listen) => format!("port {} is closed", line.key.port),
                _ => "closed".to_owned(),
            });
        }
    };
    if let (Some(before), Holder::Process(pid)) = (before, look.holder)
        && with_holder
        && before == (Look { holder: Holder::Unknown, ..look })
    {
        return Some(format!("held by pid {pid}"));
    }
    let port = match look.state {
        TcpState::Listen => format!(" {}", line.key.port),
        _ => String::new(),
    };
    let queue = match before {
        _ if look.queue > 0 => format!(" · Recv-Q {}", look.queue),
        Some(before) if before.queue > 0 => " · Recv-Q 0".to_owned(),
        _ => String::new(),
    };
    let holder = match look.holder {
        Holder::Process(pid) if with_holder => format!(" · pid {pid}"),
        Holder::Nobody
            if with_holder && matches!(look.state, TcpState::Established | TcpState::CloseWait) =>
        {
            " · no process".to_owned()
        }
        _ => String::new(),
    };
    Some(format!("{}{port}{queue}{holder}", look.state))
}

/// A text in quotation marks, with control characters made visible; a long one is cut and followed by its
/// length.
fn quoted(text: &str) -> String {
    let line = visible(text.trim_end_matches('\n'));
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("“{}…” ({} bytes)", &line[..at], text.len()),
        None => format!("“{line}”"),
    }
}

//! What netstat and ps show of a host at a look, and how it differs from the previous look.

use std::collections::{HashMap, HashSet};

use super::{Focus, wording};
use crate::{
    capture::TcpState,
    commandline::in_lab,
    judge::Snapshot,
    kernel::SocketRow,
    observer::{ProcessRow, render},
};

/// Maximum number of sockets in TIME_WAIT shown per host: they say little, and last a minute.
const MOST_WAITING: usize = 8;

/// Maximum number of similar rows shown where a table is shown in brief.
const MOST_ALIKE: usize = 3;

/// What the tools show of one host at a look.
#[derive(Clone, Debug)]
pub struct HostTables {
    /// The host.
    pub host: String,
    /// What each tool shows.
    pub views: Vec<View>,
}

/// What one tool shows.
#[derive(Clone, Debug)]
pub struct View {
    /// The command that shows it, in the run's lab.
    pub by_hand: String,
    /// Whether another view of the same host shows all of this and more.
    is_part: bool,
    heading: String,
    rows: Vec<Row>,
    /// The keys of rows that have disappeared since the previous look.
    gone: Vec<String>,
}

/// A row of a table.
#[derive(Clone, Debug)]
struct Row {
    text: String,
    /// Identifies the row at the next look, however it has changed.
    key: String,
    /// The same for all rows that differ only in their numbers.
    shape: String,
    is_waiting: bool,
    /// Whether it differs from the previous look.
    is_new: bool,
    /// Whether a check asks about it.
    is_asked: bool,
}

impl View {
    /// The whole table, without most of what is in TIME_WAIT.
    pub fn full(&self) -> String {
        let mut waiting = 0;
        let mut text = self.heading.clone();
        for row in &self.rows {
            waiting += usize::from(row.is_waiting);
            if !row.is_waiting || waiting <= MOST_WAITING {
                text += &format!("{}\n", row.text);
            }
        }
        if waiting > MOST_WAITING {
            text += &format!("… and {} more in TIME_WAIT\n", waiting - MOST_WAITING);
        }
        text
    }

    /// What differs from the previous look and what a check asks about; of similar rows, only the first few.
    /// `None` if there is nothing to show, or another view shows it.
    pub fn brief(&self) -> Option<String> {
        let is_shown = |row: &&Row| row.is_new || row.is_asked;
        if self.is_part || (!self.rows.iter().any(|row| is_shown(&row)) && self.gone.is_empty()) {
            return None;
        }
        let mut text = self.heading.clone();
        let mut alike: HashMap<&str, usize> = HashMap::new();
        self.rows.iter().filter(is_shown).for_each(|row| *alike.entry(&row.shape).or_default() += 1);
        let mut shown: HashMap<&str, usize> = HashMap::new();
        for row in self.rows.iter().filter(is_shown) {
            let (of, n) = (alike[&*row.shape], shown.entry(&row.shape).or_default());
            *n += 1;
            // Showing one more row takes no more room than mentioning it.
            if *n <= MOST_ALIKE || of == MOST_ALIKE + 1 {
                text += &format!("{}\n", row.text);
            } else if *n == MOST_ALIKE + 1 {
                text += &format!("… and {} more like this one\n", of - MOST_ALIKE);
            }
        }
        let as_before = self.rows.iter().filter(|row| !is_shown(row)).count();
        if as_before > 0 {
            text += &format!("… {} unchanged\n", wording::count(as_before, "row", "rows"));
        }
        if !self.gone.is_empty() {
            text += &format!("… gone since the last look: {}\n", some_of(&self.gone));
        }
        Some(text)
    }
}

/// The first few items, and how many more there are.
fn some_of(all: &[String]) -> String {
    let shown = if all.len() == MOST_ALIKE + 1 { all.len() } else { all.len().min(MOST_ALIKE) };
    let more = all.len() - shown;
    let text = all[..shown].join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// Builds the tables of each look, and remembers those of the previous one.
pub(super) struct Looks {
    focus: Focus,
    /// By host and command, each row by its key; empty before the first look.
    before: HashMap<(String, &'static str), HashMap<String, String>>,
}

impl Looks {
    pub(super) fn new(focus: Focus) -> Self {
        Self { focus, before: HashMap::new() }
    }

    /// What the tools show of every host now.
    pub(super) fn look(
        &mut self,
        name: &str,
        lab: &str,
        hosts: &[String],
        snapshot: &Snapshot,
    ) -> Vec<HostTables> {
        let tables = |host: &String| {
            let views = self.views(name, lab, host, snapshot);
            HostTables { host: host.clone(), views }
        };
        hosts.iter().map(tables).collect()
    }

    fn views(&mut self, look: &str, lab: &str, host: &str, snapshot: &Snapshot) -> Vec<View> {
        let (sockets, processes) = (snapshot.tables.sockets(host), snapshot.tables.processes(host));
        let connections = sockets.iter().filter(|socket| socket.state != TcpState::Listen);
        let focus = &self.focus;
        let by_pid: HashMap<i32, &ProcessRow> =
            processes.iter().map(|process| (process.pid, process)).collect();
        let socket = |socket| Row::of_socket(socket, &by_pid, focus.has_socket(look, host, socket));
        let (connections, sockets_): (Vec<Row>, Vec<Row>) =
            (connections.map(socket).collect(), sockets.iter().map(socket).collect());
        let process = |process| Row::of_process(process, focus.has_process(look, host, process, snapshot));
        let processes_ = processes.iter().map(process).collect();
        let mut view = |command, table: &str, heading, rows| {
            let (heading, rows) = laid_out(table, heading, rows);
            let view = View {
                by_hand: in_lab(&format!("netlab exec {host} -- {command}"), lab),
                is_part: false,
                heading,
                rows,
                gone: Vec::new(),
            };
            self.compared(host, command, view)
        };
        let part = view("netstat -tn", &render::netstat_tn(sockets), 2, connections);
        vec![
            View { is_part: true, ..part },
            view("netstat -putan", &render::netstat_putan(sockets, processes), 2, sockets_),
            view("ps -eo pid,ppid,s,time,args", &render::ps(processes), 1, processes_),
        ]
    }

    /// Marks what has changed since this command last showed this host.
    fn compared(&mut self, host: &str, command: &'static str, mut view: View) -> View {
        // Ignores the layout: a column may have become wider.
        let words = |row: &Row| row.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let now: HashMap<String, String> =
            view.rows.iter().map(|row| (row.key.clone(), words(row))).collect();
        let before = self.before.insert((host.to_owned(), command), now).unwrap_or_default();
        for row in &mut view.rows {
            row.is_new = before.get(&row.key) != Some(&words(row));
        }
        let here: HashSet<&str> = view.rows.iter().map(|row| row.key.as_str()).collect();
        let mut gone: Vec<String> = before.into_keys().filter(|key| !here.contains(key.as_str())).collect();
        gone.sort_by_key(|key| (key.len(), key.clone()));
        view.gone = gone;
        view
    }
}

/// The heading of a table, and its rows with their text.
fn laid_out(table: &str, heading: usize, mut rows: Vec<Row>) -> (String, Vec<Row>) {
    let mut lines = table.lines();
    let heading: Vec<&str> = lines.by_ref().take(heading).collect();
    for (row, line) in rows.iter_mut().zip(lines) {
        line.clone_into(&mut row.text);
    }
    (heading.join("\n") + "\n", rows)
}

impl Row {
    fn of_socket(socket: &SocketRow, processes: &HashMap<i32, &ProcessRow>, is_asked: bool) -> Self {
        let holder = socket.owners.iter().find_map(|pid| processes.get(pid));
        let holder = holder.map_or("", |process| &process.name);
        let (local, remote) = (socket.local, socket.remote);
        let key = match socket.state {
            TcpState::Listen => format!("{local} (LISTEN)"),
            _ => format!("{local}–{remote}"),
        };
        // Clients differ in the higher of a connection's two ports.
        let port = local.port().min(remote.port());
        let place = if socket.state == TcpState::Listen {
            key.clone()
        } else {
            format!("{}–{}", local.ip(), remote.ip())
        };
        Self {
            text: String::new(),
            key,
            shape: format!("{place} {port} {} {} {holder}", socket.state, socket.recv_q),
            is_waiting: socket.state == TcpState::TimeWait,
            is_new: true,
            is_asked,
        }
    }

    fn of_process(process: &ProcessRow, is_asked: bool) -> Self {
        Self {
            text: String::new(),
            key: process.pid.to_string(),
            shape: format!("{} {} {}", process.ppid, process.state, render::command(process)),
            is_waiting: false,
            is_new: true,
            is_asked,
        }
    }
}

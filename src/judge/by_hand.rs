//! What a person types to see what a check has seen: the lines bring a lab to the check's moment, show it, and end what
//! they have started. They go into a shell as they stand, in this order.

use std::{collections::BTreeSet, path::Path};

use indexmap::{IndexMap, IndexSet};

use super::snapshot::{Program, Snapshot};
use crate::{
    commandline::{in_lab, on_host, quoted, word},
    exercise::facts::Facts,
    kernel::ExitStatus,
    timeline::{Event, What},
};

/// How long a client that is to stay connected is kept so, in seconds.
const STAYS: u32 = 60;

/// How long one is that leaves only after others have done something, in seconds.
const LEAVES: u32 = 5;

/// How far the ports that the lines use are from the run's own, which may wait in TIME_WAIT for a minute. A server that
/// does not set SO_REUSEADDR could not bind to them.
const ELSEWHERE: u16 = 100;

/// What is said of that.
const WHY_ELSEWHERE: &str = "   # another port: that of the run may be in TIME_WAIT";

/// Prints each of its arguments as a line.
const PRINT_LINES: &str = "printf '%s\\n'";

/// A line of what somebody typed that is longer than this is made by a command.
const LONG: usize = 200;

/// The lines for these facts at a moment; `events` is everything up to it, and `capture` the run's.
pub(super) fn lines(
    facts: &Facts,
    snapshot: &Snapshot,
    events: &[Event],
    lab: &str,
    capture: &Path,
) -> Vec<String> {
    let shown = shows(facts, snapshot, lab);
    let mut lines = Vec::new();
    if !shown.is_empty() || !facts.program.is_empty() || !facts.outputs.is_empty() {
        let mut script = Script { lab, snapshot, acts: Vec::new(), programs: concerned(facts, snapshot) };
        events.iter().for_each(|event| script.take(&event.what));
        lines.extend(script.lines());
        pause(&mut lines);
        lines.extend(shown);
        lines.extend(script.ends());
        lines.iter_mut().for_each(|line| *line = elsewhere(line, snapshot));
        if let Some(serves) = lines.iter_mut().find(|line| line.ends_with("</dev/null &")) {
            *serves += WHY_ELSEWHERE;
        }
    }
    if !facts.conversations.is_empty() {
        lines.push(format!("netlab capture show {}", word(&capture.display().to_string())));
    }
    lines
}

/// The commands that show these facts while the programs run.
fn shows(facts: &Facts, snapshot: &Snapshot, lab: &str) -> IndexSet<String> {
    let on = |program: &String| snapshot.programs.get(program);
    let mut commands = Vec::new();
    for socket in &facts.sockets {
        commands.push(format!("netlab exec {} -- netstat -putan", snapshot.host(&socket.on)));
    }
    let of = facts.processes.iter().map(|p| &p.of).chain(facts.cpu.iter().map(|c| &c.of));
    for program in of.filter_map(on) {
        commands.push(format!("netlab exec {} -- ps -eo pid,ppid,stat,time,args", program.host));
    }
    for program in facts.listens.iter().filter_map(on) {
        commands.push(format!("netlab exec {} -- netstat -tlnp", program.host));
    }
    for program in facts.descriptors.iter().filter_map(|d| on(&d.of)) {
        let list = format!("ls -l /proc/$(pgrep -o -x {})/fd", word(&name_of(program)));
        commands.push(on_host(&program.host, &list));
    }
    commands.iter().map(|command| in_lab(command, lab)).collect()
}

/// The programs that the facts are about, and those that use the same ports.
fn concerned<'s>(facts: &Facts, snapshot: &'s Snapshot) -> IndexMap<&'s str, Role<'s>> {
    let named = facts.processes.iter().map(|p| &p.of).chain(facts.cpu.iter().map(|c| &c.of));
    let named = named.chain(facts.descriptors.iter().map(|d| &d.of)).chain(&facts.listens);
    let named =
        named.chain(facts.program.iter().map(|p| &p.name)).chain(facts.signaled.iter().map(|s| &s.of));
    let named: BTreeSet<&str> =
        named.chain(facts.outputs.iter().flat_map(|o| &o.of)).map(String::as_str).collect();
    let mut ports: BTreeSet<u16> = facts.sockets.iter().map(|s| snapshot.port(s.port.as_deref())).collect();
    ports.extend(facts.conversations.iter().map(|talk| snapshot.port(talk.port.as_deref())));
    for program in named.iter().filter_map(|name| snapshot.programs.get(*name)) {
        ports.extend(snapshot.ports.values().filter(|port| has_port(&program.command, **port)));
    }
    let is_concerned = |(name, program): &(&'s String, &'s Program)| {
        named.contains(name.as_str()) || ports.iter().any(|port| has_port(&program.command, *port))
    };
    let all = snapshot.programs.iter().filter(is_concerned);
    all.map(|(name, program)| (name.as_str(), Role::new(program))).collect()
}

/// Whether a command line has that port in it.
fn has_port(line: &str, port: u16) -> bool {
    line.split(|c: char| !c.is_ascii_digit()).any(|number| number.parse() == Ok(port))
}

/// What a program does until the moment.
struct Role<'s> {
    program: &'s Program,
    /// Commands that print what it is sent.
    input: Vec<String>,
    leaves: Leaves,
    /// How much had been done when it last did something.
    acted: usize,
}

/// When a program's input ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Never,
    /// As soon as it has been sent everything.
    AtOnce,
    /// When others have done something.
    Later,
}

impl<'s> Role<'s> {
    fn new(program: &'s Program) -> Self {
        Self { program, input: Vec::new(), leaves: Leaves::Never, acted: 0 }
    }

    /// Takes in that it was sent a text. Lines in a row are printed by one command.
    fn reads(&mut self, text: &str) {
        let printing = printing(text);
        match (self.input.last_mut(), printing.strip_prefix(PRINT_LINES)) {
            (Some(last), Some(line)) if last.starts_with(PRINT_LINES) => *last += line,
            _ => self.input.push(printing),
        }
    }

    fn line(&self, lab: &str) -> String {
        let command = in_lab(&on_host(&self.program.host, &self.program.command), lab);
        let is_over = matches!(self.program.ended, Some(ExitStatus::Exited(_)));
        let (stays, background) = match self.leaves {
            Leaves::AtOnce => (None, ""),
            Leaves::Later => (Some(LEAVES), " &"),
            Leaves::Never if self.program.parent.is_some() => (None, " &"),
            Leaves::Never if is_over && self.input.is_empty() => (None, ""),
            Leaves::Never => (Some(STAYS), " &"),
        };
        let sleep = stays.map(|seconds| format!("sleep {seconds}"));
        let input: Vec<String> = self.input.iter().cloned().chain(sleep).collect();
        match input.as_slice() {
            [] => format!("{command} </dev/null{background}"),
            [one] => format!("{one} | {command}{background}"),
            all => format!("({}) | {command}{background}", all.join("; ")),
        }
    }
}

/// What is done until the moment.
struct Script<'s> {
    lab: &'s str,
    snapshot: &'s Snapshot,
    acts: Vec<Act>,
    programs: IndexMap<&'s str, Role<'s>>,
}

enum Act {
    /// The program of that name starts.
    Start(String),
    /// The one before it has left.
    Wait,
    Line(String),
}

impl Script<'_> {
    fn take(&mut self, what: &What) {
        let done = self.acts.len();
        match what {
            What::Started { program, .. } => {
                if let Some(role) = self.programs.get_mut(&**program) {
                    self.acts.push(Act::Start(program.clone()));
                    role.acted = self.acts.len();
                }
            }
            What::Typed { program, text } => {
                if let Some(role) = self.programs.get_mut(&**program) {
                    role.reads(text);
                    role.acted = done;
                }
            }
            What::EndOfFile { program } => {
                let Some(role) = self.programs.get_mut(&**program) else { return };
                role.leaves = if role.acted == done { Leaves::AtOnce } else { Leaves::Later };
                if role.leaves == Leaves::Later && !matches!(self.acts.last(), Some(Act::Wait)) {
                    self.acts.push(Act::Wait);
                }
            }
            What::Signaled { program, pid, name, signal, host, .. }
                if self.programs.contains_key(&**program) =>
            {
                let kill = kill(self.snapshot, program, *pid, name, signal, host);
                self.acts.push(Act::Line(in_lab(&kill, self.lab)));
            }
            What::Switched { redo, .. } => self.acts.push(Act::Line(in_lab(redo, self.lab))),
            _ => {}
        }
    }

    /// What brings a lab to the moment. What is done several times in a row is done in a loop.
    fn lines(&self) -> Vec<String> {
        let line = |act: &Act| match act {
            Act::Start(program) => self.programs[&**program].line(self.lab),
            Act::Wait => format!("sleep {LEAVES}"),
            Act::Line(line) => line.clone(),
        };
        let all: Vec<String> = self.acts.iter().map(line).collect();
        let mut lines = Vec::new();
        for same in all.chunk_by(|a, b| a == b) {
            let one = &same[0];
            lines.push(repeated(one, same.len()));
            if one.ends_with('&') {
                // A server listens a moment after it was started, and a client is connected a moment later.
                pause(&mut lines);
            }
        }
        lines
    }

    /// What ends everything that still runs: clients first, so that a server's port is free again at once.
    fn ends(&self) -> Vec<String> {
        let runs = self.programs.values().map(|role| role.program).filter(|program| program.ended.is_none());
        let (servers, clients): (Vec<_>, Vec<_>) = runs.partition(|program| program.parent.is_some());
        let client = |program: &&Program| {
            let kill = format!("netlab kill --name {} {}", word(&name_of(program)), program.host);
            Some(in_lab(&kill, self.lab))
        };
        let server = |program: &&Program| {
            let port = port_of(program, self.snapshot)?;
            Some(in_lab(&format!("netlab kill --port {port} {}", program.host), self.lab))
        };
        let ends: Vec<String> =
            clients.iter().filter_map(client).chain(servers.iter().filter_map(server)).collect();
        ends.chunk_by(|a, b| a == b).map(|same| repeated(&same[0], same.len())).collect()
    }
}

/// A line as often as it is to be typed.
fn repeated(line: &str, times: usize) -> String {
    match (times, line.ends_with('&')) {
        (1, _) => line.to_owned(),
        (n, true) => format!("for n in $(seq {n}); do {line} done"),
        (n, false) => format!("for n in $(seq {n}); do {line}; done"),
    }
}

/// A program's name as `ps` has it.
fn name_of(program: &Program) -> String {
    let path = program.command.split_whitespace().next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or(path).chars().take(15).collect()
}

/// A line with other ports in place of the exercise's.
fn elsewhere(line: &str, snapshot: &Snapshot) -> String {
    let mut moved = String::with_capacity(line.len());
    // Numbers, and what is between them.
    for part in line.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let number = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        match number.parse::<u16>().ok().filter(|port| snapshot.ports.values().any(|own| own == port)) {
            Some(port) => moved += &(port.saturating_add(ELSEWHERE).to_string() + &part[number.len()..]),
            None => moved += part,
        }
    }
    moved
}

/// Lets what was started get going.
fn pause(lines: &mut Vec<String>) {
    if !lines.last().is_some_and(|line| line.starts_with("sleep")) {
        lines.push("sleep 1".into());
    }
}

/// The command that sends a signal to a process of a program. The process has another number when the same is done by
/// hand, so it goes by what it is: who listens, its newest child, or the newest one of its name.
pub fn kill(snapshot: &Snapshot, program: &str, pid: i32, name: &str, signal: &str, host: &str) -> String {
    let signal = signal.strip_prefix("SIG").unwrap_or(signal);
    let program = snapshot.programs.get(program);
    let whom = match program.and_then(|program| Some((program, port_of(program, snapshot)?))) {
        Some((program, port)) if program.parent == Some(pid) => format!("--port {port}"),
        Some((program, port)) if program.is_child(pid) => format!("--child --port {port}"),
        _ => format!("--name {}", word(name)),
    };
    format!("netlab kill --signal {signal} {whom} {host}")
}

/// The port of the exercise that a program's command line has in it.
fn port_of(program: &Program, snapshot: &Snapshot) -> Option<u16> {
    snapshot.ports.values().copied().find(|port| has_port(&program.command, *port))
}

/// A command that prints a text.
fn printing(text: &str) -> String {
    let is_long = text.len() > LONG && text.chars().all(|c| c == 'x');
    match text.strip_suffix('\n') {
        _ if is_long => format!("head -c {} /dev/zero | tr '\\0' x", text.len()),
        Some(line) => format!("{PRINT_LINES} {}", quoted(line)),
        None => format!("printf %s {}", quoted(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    /// The lines for a check of a run that is kept beside the tests.
    fn lines_of(run: &str, check: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(run);
        let record = Record::read(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let artifacts = crate::judge::Artifacts {
            capture: "capture.pcapng".into(),
            evidence: folder.path().join("evidence.json"),
            report: folder.path().join("report.html"),
        };
        let outcome = crate::judge::judge(&record.exercise, &record, artifacts);
        let check = outcome.checks.into_iter().find(|result| result.id == check).unwrap();
        check.by_hand.join("\n").replace(&format!(" --lab {}", record.plan.lab), "")
    }

    #[test]
    fn what_starts_the_programs_comes_before_what_shows_them() {
        insta::assert_snapshot!(lines_of("namespaces-2", "time-wait-on-clients"), @r"
        netlab exec server -- tcpechod 8102 </dev/null &   # another port: that of the run may be in TIME_WAIT
        sleep 1
        printf '%s\n' 'hello from client1' 'and a second line' | netlab exec client1 -- tcpecho server 8102
        (printf '%s\n' 'greetings from client2'; sleep 60) | netlab exec client2 -- tcpecho server 8102 &
        sleep 1
        netlab kill --signal INT --name tcpecho client2
        sleep 1
        netlab exec client1 -- netstat -putan
        netlab exec client2 -- netstat -putan
        netlab exec server -- netstat -putan
        netlab kill --port 8102 server
        ");
        // Thirty clients leave while their server is stopped.
        insta::assert_snapshot!(lines_of("namespaces-5", "signals-do-not-queue"), @r"
        netlab exec server -- tcpechod --reaper once 8125 </dev/null &   # another port: that of the run may be in TIME_WAIT
        sleep 1
        for n in $(seq 30); do sleep 5 | netlab exec client2 -- tcpecho server 8125 & done
        sleep 1
        netlab kill --signal STOP --port 8125 server
        sleep 5
        netlab kill --signal CONT --port 8125 server
        sleep 1
        netlab exec server -- ps -eo pid,ppid,stat,time,args
        netlab kill --port 8125 server
        ");
    }

    #[test]
    fn what_the_capture_shows_needs_no_program() {
        assert_eq!(lines_of("namespaces-2", "handshake-per-client"), "netlab capture show capture.pcapng");
    }
}

//! What a run shows of the program under judgement besides what its checks ask: whose program it is that listens,
//! and whether it went to the background.

use std::{collections::HashMap, path::Path};

use crate::{
    exercise::{CheckResult, Verdict},
    observer::{ProcessRow, SocketRow, TcpState},
    runtime::ExitStatus,
    timeline::What,
    workspace::ON_HOSTS,
};

/// Programs that run what is in a file, by what their names begin with.
const INTERPRETERS: [&str; 14] = [
    "sh", "bash", "dash", "busybox", "python", "pypy", "perl", "ruby", "node", "php", "lua", "tclsh", "java",
    "gawk",
];

/// Watches one program through a run.
pub struct Watch<'p> {
    program: &'p str,
    host: String,
    pid: Option<i32>,
    /// The latest of every host: the program's may have been seen before it was told who that is.
    processes: HashMap<String, Vec<ProcessRow>>,
    sockets: HashMap<String, Vec<SocketRow>>,
    foreign: Option<String>,
    /// It ended by itself, without an error.
    is_over: bool,
}

impl<'p> Watch<'p> {
    /// By the exercise's name for it.
    pub fn new(program: &'p str) -> Self {
        Self {
            program,
            host: String::new(),
            pid: None,
            processes: HashMap::new(),
            sockets: HashMap::new(),
            foreign: None,
            is_over: false,
        }
    }

    /// Takes in what was done or seen.
    pub fn see(&mut self, what: &What) {
        match what {
            What::Started { program, host, pid, .. } if program == self.program => {
                (self.host, self.pid, self.is_over) = (host.clone(), *pid, false);
            }
            What::Ended { program, status, .. } if program == self.program => {
                self.is_over = *status == ExitStatus::Exited(0);
            }
            What::Processes { host, rows } => {
                self.processes.insert(host.clone(), rows.clone());
            }
            What::Sockets { host, rows } => {
                self.sockets.insert(host.clone(), rows.clone());
            }
            _ => return,
        }
        self.look();
    }

    /// What listens and is no program of the submission, if that is so.
    pub fn foreign(self) -> Option<String> {
        self.foreign
    }

    /// Says of checks that found nothing listening that the program has left, where it has.
    pub fn explain(&self, checks: &mut [CheckResult]) {
        if !self.is_over {
            return;
        }
        for check in checks.iter_mut().filter(|check| check.verdict == Verdict::Error) {
            if check.observed.contains("does not listen: exit 0") {
                check.observed +=
                    ". It ended at once or went to the background: it must stay in the foreground";
            }
        }
    }

    /// A process may have been seen before it became what listens: what was seen last counts.
    fn look(&mut self) {
        let (Some(processes), Some(sockets)) = (self.processes.get(&self.host), self.sockets.get(&self.host))
        else {
            return;
        };
        let listening = sockets.iter().filter(|socket| socket.state == TcpState::Listen);
        let owners: Vec<i32> = listening.flat_map(|socket| socket.owners.iter().copied()).collect();
        let is_own = |row: &&ProcessRow| owners.contains(&row.pid) && self.has(row.pid, processes);
        let rows: Vec<&ProcessRow> = processes.iter().filter(is_own).collect();
        if let Some(row) = rows.first() {
            self.foreign = rows.iter().all(|row| is_foreign(row)).then(|| row.program.clone());
        }
    }

    /// Whether the process is the program's, or descends from it.
    fn has(&self, pid: i32, processes: &[ProcessRow]) -> bool {
        let parent = |pid: &i32| processes.iter().find(|row| row.pid == *pid).map(|row| row.ppid);
        // However a table came to be, there is an end to it.
        std::iter::successors(Some(pid), parent).take(processes.len() + 1).any(|pid| Some(pid) == self.pid)
    }
}

fn is_foreign(row: &ProcessRow) -> bool {
    let is_handed_in = |path: &str| Path::new(path).starts_with(ON_HOSTS);
    let name = Path::new(&row.program).file_name().unwrap_or_default().to_string_lossy();
    let interprets = INTERPRETERS.iter().any(|interpreter| name.starts_with(interpreter));
    let runs_a_file = interprets && row.argv.iter().skip(1).any(|argument| is_handed_in(argument));
    !row.program.is_empty() && !is_handed_in(&row.program) && !runs_a_file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::render::tests::{process, socket};

    fn seen(program: &str, argv: &[&str]) -> Option<String> {
        let mut watch = Watch::new("server");
        let started = |pid| What::Started {
            program: "server".into(),
            host: "server".into(),
            command: String::new(),
            pid: Some(pid),
            redo: String::new(),
        };
        watch.see(&started(7));
        let mut row = process(8, 7, "x");
        row.program = program.into();
        row.argv = argv.iter().map(|&argument| argument.into()).collect();
        watch.see(&What::Processes { host: "server".into(), rows: vec![process(7, 0, "sh"), row] });
        let mut listening = socket("0.0.0.0:50000", "0.0.0.0:0", TcpState::Listen);
        listening.owners = vec![8];
        watch.see(&What::Sockets { host: "server".into(), rows: vec![listening] });
        watch.foreign()
    }

    #[test]
    fn what_listens_and_was_not_handed_in_is_found() {
        let foreign = |program: &str, argv: &[&str]| seen(program, argv).is_some();
        assert_eq!(seen("/usr/bin/socat", &["socat", "EXEC:/lab/x"]).as_deref(), Some("/usr/bin/socat"));
        assert!(foreign("/usr/bin/socat", &["/lab/x", "/lab/x"]), "it may call itself what it likes");
        assert!(foreign("/usr/bin/python3.11", &["python3", "-m", "http.server"]));
        assert!(!foreign("/usr/bin/python3.11", &["python3", "-u", "/lab/server.py"]));
        assert!(!foreign("/lab/server", &["server"]));
        assert!(!foreign("", &["server"]), "nobody can tell");
    }
}

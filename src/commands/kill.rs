//! `netlab kill`: sends a signal to a process on a host, and reports what became of it.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use netlab::{
    Error,
    observer::{Fate, ProcessRow, Session, Tables, deliver},
    printable::visible,
    signals,
};
use serde_json::json;

use super::lab::{LabArgs, block_on};

/// Send a signal to a process on a host, and report which process got it and what became of it.
///
/// -PIPE and -13 are short for --signal PIPE, as in kill(1).
///
/// Without --pid, --child or --name, the signal goes to the process that is listening: the server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The signal by name or number, e.g. PIPE, SIGPIPE or 13; `netlab signals` lists them.
    #[arg(short, long, default_value = "TERM", value_name = "SIG")]
    signal: String,
    #[command(flatten)]
    target: Target,
    /// Print JSON: {"host","pid","name","signal","became"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
    /// The host's name; `netlab status` lists them.
    host: String,
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Send it to the process with this pid on the host.
    #[arg(long, value_name = "PID", conflicts_with_all = ["child", "name", "port"])]
    pid: Option<i32>,
    /// Send it to the newest child of the listening process.
    #[arg(long, conflicts_with = "name")]
    child: bool,
    /// Send it to the newest process with this name.
    #[arg(long, value_name = "NAME", conflicts_with = "port")]
    name: Option<String>,
    /// If several processes are listening, choose the one on this port.
    #[arg(long)]
    port: Option<u16>,
}

/// Returns the program's arguments with the `-PIPE` of `kill -PIPE`, or `-13`, spelled out as `--signal`.
pub fn spelled_out(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.collect();
    if all.get(1).is_some_and(|verb| verb == "kill") {
        for argument in &mut all[2..] {
            let signal = argument.to_str().and_then(|word| word.strip_prefix('-'));
            let is_signal = |word: &&str| {
                word.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
                    && signals::parse(word).is_ok()
            };
            if let Some(signal) = signal.filter(is_signal) {
                *argument = format!("--signal={signal}").into();
            }
        }
    }
    all
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let signal = signals::parse(&self.signal)?;
        block_on(async {
            let (runtime, _) = self.lab.open_host(&self.host).await?;
            let mut session = Session::open(runtime.as_ref(), &self.lab.lab).await?;
            let process = self.target.find(&session.tables, &self.host)?.clone();
            if process.pid == 1 {
                let error = Error::usage(format!("process 1 of {} is the host itself", self.host));
                return Err(error.hint(format!("`netlab host {} --stop` cuts its power", self.host)).into());
            }
            let fate = deliver(&mut session, &self.host, &process, signal).await?;
            self.print(&process, signal, fate);
            Ok(ExitCode::SUCCESS)
        })
    }

    fn print(&self, process: &ProcessRow, signal: i32, fate: Fate) {
        let name = signals::name(signal).unwrap_or_default();
        if self.json {
            println!(
                "{}",
                json!({"host": self.host, "pid": process.pid, "name": process.name, "signal": name, "became": fate})
            );
        } else {
            println!("{name} → {} (pid {}) on {}: {fate}", visible(&process.name), process.pid, self.host);
        }
    }
}

impl Target {
    fn find<'t>(&self, tables: &'t Tables, host: &str) -> netlab::Result<&'t ProcessRow> {
        let processes = tables.processes(host);
        if let Some(pid) = self.pid {
            return processes.iter().find(|p| p.pid == pid).ok_or_else(|| {
                Error::usage(format!("no process {pid} on {host}")).hint(there_are(processes))
            });
        }
        if let Some(name) = &self.name {
            return newest(processes.iter().filter(|p| p.name == *name)).ok_or_else(|| {
                Error::usage(format!("no process named {name} on {host}")).hint(there_are(processes))
            });
        }
        let server = self.listening(tables, host)?;
        if !self.child {
            return Ok(server);
        }
        newest(processes.iter().filter(|p| p.ppid == server.pid && !p.is_zombie())).ok_or_else(|| {
            Error::usage(format!("{} (pid {}) on {host} has no child now", server.name, server.pid))
                .hint("a concurrent server has one for each connected client")
        })
    }

    fn listening<'t>(&self, tables: &'t Tables, host: &str) -> netlab::Result<&'t ProcessRow> {
        let mut all: Vec<(u16, &ProcessRow)> =
            tables.listeners(host).map(|(socket, process)| (socket.local.port(), process)).collect();
        all.dedup_by_key(|(_, process)| process.pid);
        let found: Vec<_> = all.iter().filter(|(port, _)| self.port.is_none_or(|p| p == *port)).collect();
        let list: Vec<_> =
            all.iter().map(|(port, p)| format!("{} (pid {}) on {port}", p.name, p.pid)).collect();
        match (found.as_slice(), self.port) {
            ([(_, only)], _) => Ok(only),
            ([], Some(port)) if !all.is_empty() => {
                Err(Error::usage(format!("no process listens on port {port} of {host}"))
                    .hint(format!("listening there: {}", list.join(", "))))
            }
            ([], _) => Err(Error::usage(format!("no process listens on {host}"))
                .hint("name one with --pid or --name, or start a server first")),
            _ => Err(Error::usage(format!("several processes listen on {host}: {}", list.join(", ")))
                .hint("say which with --port or --pid")),
        }
    }
}

fn newest<'t>(processes: impl Iterator<Item = &'t ProcessRow>) -> Option<&'t ProcessRow> {
    processes.max_by_key(|p| (p.started, p.pid))
}

fn there_are(processes: &[ProcessRow]) -> String {
    let list: Vec<_> = processes.iter().map(|p| format!("{} (pid {})", p.name, p.pid)).collect();
    format!("running there: {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_spelled_as_kill_spells_it() {
        let spelled = |line: &str| {
            let words = spelled_out(line.split(' ').map(OsString::from));
            words.join(" ".as_ref()).into_string().unwrap()
        };
        assert_eq!(spelled("netlab kill -PIPE server"), "netlab kill --signal=PIPE server");
        assert_eq!(spelled("netlab kill -9 server --child"), "netlab kill --signal=9 server --child");
        assert_eq!(spelled("netlab kill -s KILL -FOO server"), "netlab kill -s KILL -FOO server");
        assert_eq!(spelled("netlab exec -9 server"), "netlab exec -9 server");
    }
}

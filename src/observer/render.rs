//! Formats tables like the usual tools: `netstat` (net-tools) and `ps` (procps).
//!
//! The columns are theirs; the rows are the observer's, in its order, and TCP only. There are two
//! differences: addresses are never truncated, and lines have no trailing blanks.

use std::{collections::HashMap, fmt::Write, net::SocketAddr};

use super::ProcessRow;
use crate::{capture::TcpState, kernel::SocketRow, printable::as_ps_does};

/// Formats connections like `netstat -tn`, without listening sockets.
pub fn netstat_tn(sockets: &[SocketRow]) -> String {
    let mut text = heading("w/o servers", "");
    for row in sockets.iter().filter(|s| s.state != TcpState::Listen) {
        line(&mut text, row, "");
    }
    text
}

/// Formats all TCP sockets with their processes like `netstat -putan`; `-` if no process holds the socket.
pub fn netstat_putan(sockets: &[SocketRow], processes: &[ProcessRow]) -> String {
    let names: HashMap<i32, &ProcessRow> = processes.iter().map(|p| (p.pid, p)).collect();
    let mut text = heading("servers and established", "PID/Program name");
    for row in sockets {
        let owner = row.owners.iter().find_map(|pid| names.get(pid));
        line(&mut text, row, &owner.map_or_else(|| "-".to_owned(), |p| program(p)));
    }
    text
}

fn heading(which: &str, last: &str) -> String {
    let columns = format!(
        "Proto Recv-Q Send-Q {:<23} {:<23} {:<11} {last}",
        "Local Address", "Foreign Address", "State"
    );
    format!("Active Internet connections ({which})\n{}\n", columns.trim_end())
}

fn line(text: &mut String, row: &SocketRow, program: &str) {
    let line = format!(
        "{:<4}  {:>6} {:>6} {:<23} {:<23} {:<11} {program}",
        if row.v6 { "tcp6" } else { "tcp" },
        row.recv_q,
        row.send_q,
        address(row.local),
        address(row.remote),
        row.state
    );
    text.push_str(line.trim_end());
    text.push('\n');
}

/// `10.0.0.1:80`, `:::80` (no brackets, as netstat), `*` for port 0.
fn address(address: SocketAddr) -> String {
    match address.port() {
        0 => format!("{}:*", address.ip()),
        port => format!("{}:{port}", address.ip()),
    }
}

/// `PID/name`, where the name is the last part of the program's path, truncated as netstat does.
fn program(process: &ProcessRow) -> String {
    let called = process.argv.first().map_or(process.name.as_str(), String::as_str);
    let name = called.rsplit('/').next().unwrap_or(called);
    as_ps_does(&format!("{}/{name}", process.pid)).chars().take(19).collect()
}

/// Formats processes like `ps -eo pid,ppid,s,time,args`; a zombie is `[name] <defunct>`.
pub fn ps(processes: &[ProcessRow]) -> String {
    let width =
        processes.iter().flat_map(|p| [p.pid, p.ppid]).map(|n| n.to_string().len()).fold(5, usize::max);
    let mut text = format!("{:>width$} {:>width$} S     TIME COMMAND\n", "PID", "PPID");
    for p in processes {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:>width$} {:>width$} {} {} {}",
            p.pid,
            p.ppid,
            as_ps_does(&p.state.to_string()),
            time(p.ticks / 100),
            command(p)
        );
    }
    text
}

/// Returns the arguments, or the name in brackets if there are none, as for a zombie.
pub fn command(process: &ProcessRow) -> String {
    let text = match (process.is_zombie(), process.argv.is_empty()) {
        (true, _) => format!("[{}] <defunct>", process.name),
        (false, true) => format!("[{}]", process.name),
        (false, false) => process.argv.join(" "),
    };
    as_ps_does(&text)
}

/// Processor time in seconds as `[days-]hours:minutes:seconds`.
fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}-{clock}") } else { clock }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn process(pid: i32, parent: i32, name: &str) -> ProcessRow {
        ProcessRow {
            pid,
            ppid: parent,
            pgid: pid,
            sid: 1,
            state: 'S',
            name: name.into(),
            argv: vec![name.into()],
            program: String::new(),
            is_reference_program: false,
            copy_of: String::new(),
            uid: 0,
            descriptors: 0,
            ticks: 0,
            started: 100,
            caught: 0,
            ignored: 0,
            blocked: 0,
            ended: None,
        }
    }

    pub fn socket(local: &str, remote: &str, state: TcpState) -> SocketRow {
        SocketRow {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            v6: local.starts_with('['),
            state,
            recv_q: 0,
            send_q: 0,
            inode: 0,
            uid: 0,
            owners: Vec::new(),
        }
    }

    #[test]
    fn netstat_as_people_know_it() {
        let mut server = process(12, 1, "tcpechod");
        server.argv = vec!["/opt/bin/tcpechod".into(), "8001".into()];
        let sockets = [
            SocketRow {
                owners: vec![12],
                recv_q: 6,
                ..socket("0.0.0.0:8001", "0.0.0.0:0", TcpState::Listen)
            },
            SocketRow { owners: vec![99], ..socket("[::]:8002", "[::]:0", TcpState::Listen) },
            socket("198.18.0.2:8001", "198.18.0.3:54321", TcpState::Established),
        ];
        insta::assert_snapshot!(netstat_putan(&sockets, &[server]), @r"
        Active Internet connections (servers and established)
        Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
        tcp        6      0 0.0.0.0:8001            0.0.0.0:*               LISTEN      12/tcpechod
        tcp6       0      0 :::8002                 :::*                    LISTEN      -
        tcp        0      0 198.18.0.2:8001         198.18.0.3:54321        ESTABLISHED -
        ");
        insta::assert_snapshot!(netstat_tn(&sockets), @r"
        Active Internet connections (w/o servers)
        Proto Recv-Q Send-Q Local Address           Foreign Address         State
        tcp        0      0 198.18.0.2:8001         198.18.0.3:54321        ESTABLISHED
        ");
    }

    #[test]
    fn ps_as_people_know_it() {
        let mut busy = process(15, 1, "tcpechod");
        busy.argv.push("80\x1b[2J01".into());
        busy.ticks = 100 * (86400 + 3661);
        let mut zombie = process(104_857, 15, "tcpechod-with-a");
        (zombie.state, zombie.argv) = ('Z', Vec::new());
        insta::assert_snapshot!(ps(&[busy, zombie]), @r"
           PID   PPID S     TIME COMMAND
            15      1 S 1-01:01:01 tcpechod 80?[2J01
        104857     15 Z 00:00:00 [tcpechod-with-a] <defunct>
        ");
    }
}

//! Limits on what is reported about one host. A program that opens sockets or starts processes endlessly must
//! fill neither our memory nor the reader's; what is left out is reported as observation lost, and never
//! looks like an answer.

use super::hosts::View;
use crate::observer::ProcessRow;

/// Maximum number of rows of a table.
pub const MOST_ROWS: usize = 20_000;
/// Maximum size of `/proc/PID/net/tcp`, in bytes; a socket takes 150.
pub const MOST_OF_FILE: usize = 4 << 20;
/// Maximum number of descriptors of all its processes, each of which has to be checked for being a socket.
pub const MOST_DESCRIPTORS: usize = 200_000;
/// Maximum memory of the names and arguments of all its processes, in bytes.
const MOST_TEXT: usize = 4 << 20;

/// Returns the message for a host that exceeds a limit.
pub fn why(host: &str) -> String {
    format!("host {host} has more processes, sockets or descriptors than netlab reads")
}

/// Truncates a host's tables to the limits.
pub fn cut(view: &mut View) {
    let mut text = 0;
    let fits = |row: &ProcessRow| {
        text += row.size() - size_of::<ProcessRow>();
        text > MOST_TEXT
    };
    let rows = view.processes.iter().position(fits).unwrap_or(view.processes.len()).min(MOST_ROWS);
    view.whole &= rows == view.processes.len() && view.sockets.len() <= MOST_ROWS;
    view.processes.truncate(rows);
    view.sockets.truncate(MOST_ROWS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::TcpState,
        kernel::SocketRow,
        observer::{
            protocol::{MAX_FRAME, Message, encode_json},
            render::tests::{process, socket},
        },
    };

    fn view(processes: Vec<ProcessRow>, sockets: Vec<SocketRow>) -> View {
        View { processes, sockets, whole: true }
    }

    #[test]
    fn an_ordinary_host_is_told_whole() {
        let socket = socket("0.0.0.0:8001", "0.0.0.0:0", TcpState::Listen);
        let mut view = view(vec![process(1, 0, "lab-init"); 500], vec![socket; MOST_ROWS]);
        cut(&mut view);
        assert!(view.whole);
        assert_eq!((view.processes.len(), view.sockets.len()), (500, MOST_ROWS));
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let socket = socket("0.0.0.0:8001", "0.0.0.0:0", TcpState::Listen);
        let mut sockets = view(vec![process(1, 0, "lab-init")], vec![socket; 65_000]);
        cut(&mut sockets);
        assert_eq!((sockets.processes.len(), sockets.sockets.len(), sockets.whole), (1, MOST_ROWS, false));

        let mut processes = view(vec![process(1, 0, "x"); MOST_ROWS + 1], Vec::new());
        cut(&mut processes);
        assert_eq!((processes.processes.len(), processes.whole), (MOST_ROWS, false));

        // Empty arguments take memory but contain no text.
        let mut long = process(2, 1, "x");
        long.argv = vec![String::new(); 1024];
        let mut arguments = view(vec![long; 1000], Vec::new());
        cut(&mut arguments);
        assert!(!arguments.whole && arguments.processes.len() < 200, "{}", arguments.processes.len());
    }

    /// Whatever a host does, its tables fit in a frame.
    #[test]
    fn the_largest_tables_fit_in_a_frame() {
        let mut worst = process(i32::MAX, i32::MAX, "x");
        worst.argv = vec!["\u{1}".repeat(1024)];
        worst.program = "\u{1}".repeat(4096);
        (worst.ticks, worst.started, worst.caught) = (u64::MAX, u64::MAX, u64::MAX);
        (worst.ignored, worst.blocked, worst.descriptors) = (u64::MAX, u64::MAX, u64::MAX);
        let mut socket = socket(
            "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            TcpState::Established,
        );
        (socket.inode, socket.uid, socket.recv_q, socket.send_q) = (u64::MAX, u32::MAX, u32::MAX, u32::MAX);
        socket.owners = vec![i32::MAX; MOST_DESCRIPTORS / MOST_ROWS];
        let plain = ProcessRow { argv: Vec::new(), program: String::new(), ..worst.clone() };
        let mut worst = [vec![worst; 1000], vec![plain; MOST_ROWS]].concat();
        for rows in [&mut worst.clone(), &mut worst.split_off(1000)] {
            let mut view = view(std::mem::take(rows), vec![socket.clone(); MOST_ROWS + 1]);
            cut(&mut view);
            let mut out = Vec::new();
            encode_json(&Message::Processes { at: 0, host: "h".into(), rows: view.processes }, &mut out);
            assert!(out.len() < MAX_FRAME, "{}", out.len());
            out.clear();
            encode_json(&Message::Sockets { at: 0, host: "h".into(), rows: view.sockets }, &mut out);
            assert!(out.len() < MAX_FRAME, "{}", out.len());
        }
    }
}

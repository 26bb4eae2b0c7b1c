//! netlab's own programs. They are beside `netlab` on the machine, and in one folder on every host.

/// Their folder on a host.
pub const FOLDER: &str = "/opt/netlab/bin";

/// A host's PID 1, and what starts programs on it.
pub const INIT: &str = "lab-init";

/// netlab itself, as the observer of a lab.
pub const NETLAB: &str = "netlab";

/// The reference programs: those that the assignment asks students to write.
pub const REFERENCE: [&str; 4] = ["processes", "tcpecho", "tcpechod", "threads"];

/// Returns the names of all programs on hosts.
pub fn on_hosts() -> impl Iterator<Item = &'static str> {
    [INIT].into_iter().chain(REFERENCE)
}

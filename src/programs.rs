//! netlab's own programs. They lie beside `netlab` on the machine, and in one folder on every host.

/// Where a host has them.
pub const FOLDER: &str = "/opt/netlab/bin";

/// A host's PID 1, and what starts programs on it.
pub const INIT: &str = "lab-init";

/// netlab itself, as the observer of a lab.
pub const NETLAB: &str = "netlab";

/// The reference programs: what the assignment has students write themselves.
pub const REFERENCE: [&str; 4] = ["processes", "tcpecho", "tcpechod", "threads"];

/// Every program that is on hosts.
pub fn on_hosts() -> impl Iterator<Item = &'static str> {
    [INIT].into_iter().chain(REFERENCE)
}

//! Kernel interfaces for which neither the standard library nor nix suffices: system calls, netlink, socket
//! tables, and exit statuses.

mod exit;
pub mod netlink;
mod sockets;
pub(crate) mod sys;

pub use exit::ExitStatus;
pub use sockets::SocketRow;
pub(crate) use sockets::{order, read as read_sockets};

//! What the kernel says and takes, where neither the standard library nor nix has words for it: system calls, netlink,
//! socket tables, and how a program ended.

mod exit;
pub mod netlink;
mod sockets;
pub(crate) mod sys;

pub use exit::ExitStatus;
pub use sockets::SocketRow;
pub(crate) use sockets::{order, read as read_sockets};

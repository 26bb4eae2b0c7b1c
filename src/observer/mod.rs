//! Observes a whole lab from outside its hosts: the packets on its segments, and its hosts' sockets and
//! processes.
//!
//! [`serve`] is the observing end, run by `netlab observe` where the lab is; [`Observer`] is the receiving
//! end, and [`protocol`] defines the messages between them. [`Tables`] keeps the latest tables.

mod client;
mod fate;
pub mod protocol;
pub mod render;
mod rows;
pub(crate) mod server;
mod session;
mod sightings;
mod tables;
mod tape;

pub use client::{Observer, Seen};
pub use fate::{Fate, deliver};
pub use rows::{ProcessRow, is_of_the_system};
pub use server::serve;
pub use session::Session;
pub use sightings::Sightings;
pub use tables::Tables;
pub use tape::{Tape, TapeEvent};

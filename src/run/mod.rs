//! Runs exercises: does their steps on a lab, waits for what is to show, and keeps a record of all that was done and
//! seen.

mod bounds;
mod engine;
mod excess;
mod faults;
mod folder;
mod outside;
mod ports;
mod programs;
mod steps;
mod watcher;

pub use engine::run;
pub use folder::{EVIDENCE, Folder, newest};
pub use watcher::Watcher;

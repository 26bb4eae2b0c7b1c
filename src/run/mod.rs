//! Runs exercises: performs their steps on a lab, waits for the expected facts, and records everything that is done
//! and seen.

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
pub use folder::{Folder, newest};
pub use watcher::Watcher;

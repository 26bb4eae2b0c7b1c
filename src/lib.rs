//! netlab: a networking lab on one machine.
//!
//! ARCHITECTURE.md shows how data flows through the program, and lists the modules in order of dependence.

mod aside;
pub mod capture;
pub mod check;
pub mod class;
pub mod commandline;
mod digest;
pub mod doctor;
pub mod errno;
pub mod error;
pub mod exercise;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod judge;
pub mod kernel;
pub mod link;
pub mod observer;
mod own;
mod paths;
pub mod printable;
pub mod privileges;
pub mod programs;
pub mod record;
pub mod report;
pub mod run;
pub mod runtime;
pub mod signals;
pub mod suggest;
pub mod time;
pub mod timeline;
pub mod topology;
pub mod workspace;
pub mod yaml;

pub use aside::aside;
pub use error::{Error, Kind, Result};

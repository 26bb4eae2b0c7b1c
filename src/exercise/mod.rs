//! Exercises: sections of an assignment as data, run on a lab and proved from what is seen of it.

mod bind;
mod bounds;
mod cuts;
mod excess;
mod facts;
mod folder;
mod foreign;
mod library;
pub mod model;
mod outside;
mod ports;
mod programs;
mod run;
mod scene;
mod steps;
mod validate;
mod verdict;

pub use bind::{Cast, cast, in_words};
pub use folder::Folder;
pub use library::{Template, all, find, from_document, parse, schema};
pub use run::{Options, run};
pub use scene::Scene;
pub use verdict::{Artifacts, CheckResult, Outcome, Verdict, millis};

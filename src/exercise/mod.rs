//! Exercises: sections of an assignment as data, from the file to what a lab can do and show.

mod bind;
pub mod facts;
mod library;
pub mod model;
mod names;
mod options;
mod resolve;
mod roles;
mod steps;

pub use bind::{bind, in_words};
pub use library::{Template, all, find, from_document, parse, schema};
pub use options::{Options, Origin};
pub use roles::{Roles, assign_roles};

#[cfg(test)]
mod tests;

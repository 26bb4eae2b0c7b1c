//! Exercises: sections of an assignment as data, and how they are bound to a lab.

mod bind;
mod library;
pub mod model;
mod options;
mod roles;
mod validate;

pub use bind::{bind, in_words};
pub use library::{Template, all, find, from_document, parse, schema};
pub use options::{Options, Origin};
pub use roles::{Roles, assign_roles};

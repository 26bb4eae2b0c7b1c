//! Parts of netlab by themselves, its programs, and what its documents say of its code.

mod architecture;
mod capture;
mod demos;
mod doctor;
mod documents;
mod echo;
mod init;
mod judge;
mod namespaces;
mod observer;
mod record;
mod report;
mod submission;
#[path = "../support/mod.rs"]
mod support;
mod topology;

//! Parts of netlab on their own, its programs, and what its documents say about its code.

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

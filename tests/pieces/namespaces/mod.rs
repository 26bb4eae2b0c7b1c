//! The runtime on namespaces: what is particular to it. Run by root, all of it runs once more as an
//! ordinary user.

mod isolation;
mod lab;
mod lifetime;
mod programs;
mod user;
mod works;

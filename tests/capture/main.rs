//! Captures: reading files, decoding frames, following conversations, showing them.

mod conversations;
mod damage;
mod files;
mod formats;
mod fragments;
mod ladder;
mod links;
mod show;
#[path = "../skip/mod.rs"]
mod skip;
mod tshark;

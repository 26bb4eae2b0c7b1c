//! Captures: reading files, decoding frames, following conversations, showing them.

mod compressed;
mod conversations;
mod damage;
mod files;
mod formats;
mod fragments;
mod generated;
mod ladder;
mod links;
mod show;
mod table;
mod talks;
mod tshark;
mod tunnels;
mod wraps;

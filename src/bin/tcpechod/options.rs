//! The arguments, and what each of them demonstrates.

use std::str::FromStr;

use clap::{Parser, ValueEnum, error::ErrorKind};

use crate::print::{exit_now, fail, say};

/// The concurrent echo server: one process per client.
///
/// Without options it is the assignment's server, with a reaper that works. Each option makes it do one
/// thing differently, to show what that thing is for.
#[derive(Parser)]
#[command(color = clap::ColorChoice::Never, max_term_width = 100)]
#[allow(clippy::doc_markdown, reason = "these comments are what --help prints")]
pub struct Options {
    /// Port to listen on; 0 lets the kernel choose one
    #[arg(default_value_t = 7, value_name = "port")]
    pub port: u16,

    /// How clients are served.
    ///
    /// fork: each by its own child, all at once.
    /// sequential: one after another, by one process. The second client is connected (by the kernel) but not served until the first closes.
    /// pool=N: by N processes, forked beforehand, that all accept on the same socket. No client waits for a fork; client N+1 waits for one of them.
    /// threads: each by a thread of this process. There is nothing to reap; one fatal signal ends them all.
    #[arg(long, default_value = "fork", value_name = "MODE", verbatim_doc_comment)]
    pub mode: Mode,

    /// What SIGCHLD does, in mode fork
    #[arg(long, value_enum, default_value_t = Reaper::Loop, value_name = "REAPER")]
    pub reaper: Reaper,

    /// What SIGPIPE does, which a write to a broken connection raises
    #[arg(long, value_enum, default_value_t = Sigpipe::Default, value_name = "ACTION")]
    pub sigpipe: Sigpipe,

    /// How many connections the kernel queues until they are accepted (it allows one more).
    ///
    /// Stop the server (kill -STOP) and connect more clients than that: the others get no answer to
    /// their SYN, and try again.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=4096))]
    pub backlog: i32,

    /// Set SO_REUSEADDR.
    ///
    /// A server that ended with clients connected can then be started again at once. Without it, bind
    /// fails with "Address already in use" for as long as the kernel keeps one of those connections.
    /// The server that ended must have set the option, too.
    #[arg(long)]
    pub reuseaddr: bool,

    /// Do not close the connected socket, in modes fork (the parent's copy), sequential and pool.
    ///
    /// The client closes and never gets the server's FIN: it stays in FIN_WAIT2 and the server in
    /// CLOSE_WAIT, and the server loses one descriptor per client.
    #[arg(long)]
    pub keep_open: bool,
}

/// How clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Fork,
    Sequential,
    Pool(u16),
    Threads,
}

/// What SIGCHLD does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reaper {
    /// Waits for every child that has ended: no zombie remains
    Loop,
    /// Nothing: each child that has ended remains a zombie until the server ends
    None,
    /// Waits for one child per signal; signals do not queue, so children that end together remain zombies
    Once,
    /// Waits as in the handout (>= 0): spins, and serves nobody, while another child is alive
    Handout,
}

/// What SIGPIPE does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sigpipe {
    /// Ends the process
    Default,
    /// Prints a line; the write returns an error
    Handler,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match (word, word.strip_prefix("pool=").and_then(|size| size.parse().ok())) {
            ("fork", _) => Ok(Self::Fork),
            ("sequential", _) => Ok(Self::Sequential),
            ("threads", _) => Ok(Self::Threads),
            (_, Some(size @ 1..)) => Ok(Self::Pool(size)),
            _ => Err("must be fork, sequential, pool=N or threads".to_owned()),
        }
    }
}

impl Options {
    /// Reads the arguments. Wrong ones end the program like any other error, with code 1.
    pub fn from_arguments() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let text = error.to_string();
            if error.kind() == ErrorKind::DisplayHelp {
                say(text.trim_end().to_owned());
                exit_now(0)
            }
            let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            fail(format!("{why}\nusage: tcpechod [port] [options]; --help explains them"))
        })
    }
}

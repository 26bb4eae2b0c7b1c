//! `lab-init [--links N] [--forward] [--route SUBNET VIA]… [--untrusted] [--networked] [--ready FILE] [--]
//! [COMMAND…]`: process 1 of every lab host.
//!
//! It readies the host's network from inside, starts the host's own command and then does what
//! process 1 is there for: it waits for every orphan that ends, so that the only zombies in a host's
//! process table are those that a student's server neglects.
//!
//! `lab-init exec …` and `lab-init launch` are not process 1: they become any other program of the host, the
//! one on Docker, the other on namespaces. `lab-init network …` readies a host's network from outside the host.

mod exec;
mod launch;
mod link;
mod options;
mod program;
mod route;

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
};

use netlab::{
    commandline,
    errno::strerror,
    privileges::{Capabilities, hide},
};
use nix::{
    libc,
    sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask},
    unistd::{dup2_stdin, setsid},
};

use options::Options;

const USAGE: &str = "usage: lab-init [--links N] [--forward] [--route SUBNET VIA]... [--untrusted] [--networked] [--ready FILE] [--] [COMMAND...]";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == "exec").is_some() {
        return exec::run(arguments);
    }
    if arguments.next_if(|first| first == "launch").is_some() {
        return launch::run();
    }
    let only_network = arguments.next_if(|first| first == "network").is_some();
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(why) => {
            tell(&why);
            tell(USAGE);
            return ExitCode::from(2);
        }
    };
    if only_network {
        wait_for_links(&options);
        ready_network(&options);
        return ExitCode::SUCCESS;
    }
    default_dispositions();
    // The kernel drops a signal that process 1 has no handler for, unless it is blocked.
    let awaited: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    if let Err(e) = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&awaited), None) {
        tell(&format!("can't block signals: {}", strerror(e)));
        return ExitCode::FAILURE;
    }
    wait_for_links(&options);
    if !options.networked {
        ready_network(&options);
    }
    if let Err(e) = lower_privileges(options.untrusted) {
        tell(&format!("can't give up privileges: {}", strerror(e)));
        return ExitCode::FAILURE;
    }
    if let Some(ready) = &options.ready
        && let Err(e) = fs::write(ready, "")
    {
        tell(&format!("can't make {}: {}", ready.display(), strerror(e)));
    }
    close_input();
    if let Some(command) = &options.command {
        start(command);
    }
    loop {
        match awaited.wait() {
            Ok(Signal::SIGCHLD) => reap(),
            Ok(_) => return ExitCode::SUCCESS,
            Err(e) => tell(&format!("can't wait for a signal: {}", strerror(e))),
        }
    }
}

fn wait_for_links(options: &Options) {
    if let Err(e) = link::wait_for(options.links) {
        tell(&format!("can't wait for the links: {}", strerror(e)));
    }
}

/// A host whose network is not quite as planned is told of, and still a host to look around in.
fn ready_network(options: &Options) {
    if let Err(e) = route::remove_default() {
        tell(&e.with_causes());
    }
    link::disable_tx_checksum_offload();
    if options.forward
        && let Err(e) = fs::write("/proc/sys/net/ipv4/ip_forward", "1")
    {
        tell(&format!("can't turn on forwarding: {}", strerror(e)));
    }
    for route in &options.routes {
        if let Err(e) = route::replace(route) {
            tell(&e.with_causes());
        }
    }
}

/// Gives up what no program of this host is to have: what this process has kept is what it can pass on.
fn lower_privileges(untrusted: bool) -> nix::Result<()> {
    hide()?;
    Capabilities::of_root(untrusted).limit()
}

/// Nothing is read from standard input: that it is closed tells whoever holds its other end that the
/// network is ready.
fn close_input() {
    // Without /dev/null a host has worse to tell.
    if let Ok(null) = fs::File::open("/dev/null") {
        let _ = dup2_stdin(null);
    }
}

/// Starts the host's own command in a session of its own, as from a terminal: default signals, none
/// blocked. A blocked signal would stay blocked through fork and exec.
fn start(command: &str) {
    let argv = commandline::argv(command);
    let Some((name, arguments)) = argv.split_first() else { return };
    let mut program = Command::new(name);
    program.args(arguments).stdin(Stdio::null());
    // SAFETY: both calls are async-signal-safe and there is no other thread.
    #[allow(unsafe_code)]
    unsafe {
        program.pre_exec(|| {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            setsid().map(drop).map_err(Into::into)
        });
    }
    // The child is not kept: `reap` waits for whoever ends.
    if let Err(e) = program.spawn() {
        tell(&format!("can't start {name}: {}", strerror(e)));
    }
}

/// Waits for all that have ended. One SIGCHLD may stand for several.
fn reap() {
    // SAFETY: a null pointer says that we want no status.
    #[allow(unsafe_code)]
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

/// An ignored signal stays ignored through fork and exec: whoever started us may ignore some, and
/// Rust's own start ignores SIGPIPE. No program of the host is to inherit that.
fn default_dispositions() {
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is no handler. SIGKILL, SIGSTOP and the C library's own two refuse.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(number, libc::SIG_DFL);
        }
    }
}

/// Says on standard error, which is the host's log, what did not work.
fn tell(what: &str) {
    eprintln!("lab-init: {what}");
}

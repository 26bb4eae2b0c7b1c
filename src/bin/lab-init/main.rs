//! `lab-init [--links N] [--forward] [--route SUBNET VIA]… [--untrusted] [--networked] [--ready FILE] [--]
//! [COMMAND…]`: process 1 of every lab host.
//!
//! It prepares the host's network from inside, starts the host's own command and then does what process 1 is
//! for: it waits for every orphan that ends, so that the only zombies in a host's process table are those
//! that a student's server neglects.
//!
//! `lab-init exec …` and `lab-init launch` are not process 1: they become any other program of the host, the
//! former on Docker, the latter on namespaces. `lab-init network …` prepares a host's network from outside
//! the host.

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
            report(&why);
            report(USAGE);
            return ExitCode::from(2);
        }
    };
    if only_network {
        wait_for_links(&options);
        prepare_network(&options);
        return ExitCode::SUCCESS;
    }
    default_dispositions();
    // The kernel discards a signal for which process 1 has no handler, unless it is blocked.
    let signals: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    if let Err(e) = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&signals), None) {
        report(&format!("can't block signals: {}", strerror(e)));
        return ExitCode::FAILURE;
    }
    wait_for_links(&options);
    if !options.networked {
        prepare_network(&options);
    }
    if let Err(e) = lower_privileges(options.untrusted) {
        report(&format!("can't give up privileges: {}", strerror(e)));
        return ExitCode::FAILURE;
    }
    if let Some(ready) = &options.ready
        && let Err(e) = fs::write(ready, "")
    {
        report(&format!("can't make {}: {}", ready.display(), strerror(e)));
    }
    close_input();
    if let Some(command) = &options.command {
        start(command);
    }
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => reap(),
            Ok(_) => return ExitCode::SUCCESS,
            Err(e) => report(&format!("can't wait for a signal: {}", strerror(e))),
        }
    }
}

fn wait_for_links(options: &Options) {
    if let Err(e) = link::wait_for(options.links) {
        report(&format!("can't wait for the links: {}", strerror(e)));
    }
}

/// Prepares the network. Failures are reported, but the host can still be explored.
fn prepare_network(options: &Options) {
    if let Err(e) = route::remove_default() {
        report(&e.with_causes());
    }
    link::disable_tx_checksum_offload();
    if options.forward
        && let Err(e) = fs::write("/proc/sys/net/ipv4/ip_forward", "1")
    {
        report(&format!("can't turn on forwarding: {}", strerror(e)));
    }
    for route in &options.routes {
        if let Err(e) = route::replace(route) {
            report(&e.with_causes());
        }
    }
}

/// Drops the privileges that no program of this host may have: a program inherits at most what this process
/// keeps.
fn lower_privileges(untrusted: bool) -> nix::Result<()> {
    hide()?;
    Capabilities::of_root(untrusted).limit()
}

/// Closes standard input, which is never read: this tells the holder of its other end that the network is
/// ready.
fn close_input() {
    // A host without /dev/null has worse problems.
    if let Ok(null) = fs::File::open("/dev/null") {
        let _ = dup2_stdin(null);
    }
}

/// Starts the host's own command in its own session, as from a terminal: default signals, none blocked. A
/// blocked signal would stay blocked through fork and exec.
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
    // The handle is not kept: `reap` waits for every child.
    if let Err(e) = program.spawn() {
        report(&format!("can't start {name}: {}", strerror(e)));
    }
}

/// Reaps all children that have ended. One SIGCHLD may stand for several.
fn reap() {
    // SAFETY: a null pointer means that no status is wanted.
    #[allow(unsafe_code)]
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

/// Restores default signal dispositions. An ignored signal stays ignored through fork and exec; our parent
/// may ignore some, and Rust's runtime ignores SIGPIPE. The host's programs must not inherit that.
fn default_dispositions() {
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL runs no code. It fails for SIGKILL, SIGSTOP and the C library's own two signals.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(number, libc::SIG_DFL);
        }
    }
}

/// Reports a failure on standard error, which is the host's log.
fn report(what: &str) {
    eprintln!("lab-init: {what}");
}

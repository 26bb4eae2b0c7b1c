//! `lab-init launch`: starts a program of a host on namespaces, and reports to the lab's keeper. See
//! [`netlab::runtime::namespaces::launch`].

use std::{
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
};

use netlab::{
    Error, Result,
    privileges::hide,
    runtime::namespaces::launch::{Launch, control_terminal, fork_sibling, open_terminal, take_over},
};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::program::{Program, failed};

/// Starts the program and exits.
pub fn run() -> ExitCode {
    let (launch, answering) = match take_over() {
        Ok(given) => given,
        Err(error) => {
            eprintln!("lab-init launch: {}", error.with_causes());
            return ExitCode::from(2);
        }
    };
    answering.answer(&start(&launch));
    ExitCode::SUCCESS
}

/// Starts the program as the keeper's child. Returns its pid there and its terminal's master.
fn start(launch: &Launch) -> Result<(Pid, Option<OwnedFd>)> {
    // From its birth the newborn is exposed to the host's programs.
    hide().map_err(|e| Error::lab("cannot hide from the host").caused_by(e))?;
    let terminal = match launch.command.terminal {
        Some(size) => {
            let (master, terminal) = open_terminal(size)
                .and_then(|(master, terminal)| {
                    dup2_stdin(terminal.as_fd())?;
                    dup2_stdout(terminal.as_fd())?;
                    dup2_stderr(terminal.as_fd())?;
                    Ok((master, terminal))
                })
                .map_err(|e| Error::lab("cannot make a terminal on the host").caused_by(e))?;
            drop(terminal);
            Some(master)
        }
        None => None,
    };
    let program = Program {
        argv: &launch.command.argv,
        environment: Some(&launch.environment),
        workdir: launch.command.workdir.as_deref(),
        capabilities: launch.capabilities,
        unprivileged: launch.command.unprivileged,
    };
    let with_terminal = terminal.is_some();
    let newborn = fork_sibling(|| {
        let session = setsid().and_then(|_| if with_terminal { control_terminal() } else { Ok(()) });
        match session {
            Ok(()) => program.run(),
            Err(e) => failed("a session", e.into()),
        }
        .into()
    });
    let pid = newborn.map_err(|e| Error::lab("cannot start the program").caused_by(e))?;
    Ok((pid, terminal))
}

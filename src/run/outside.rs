//! What somebody else, or the machine, does to a run. If one of its programs is killed or a host is restarted, a check
//! may fail because of that, and no program is to blame.

use nix::libc::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};

use crate::{judge::program::Program, kernel::ExitStatus, signals};

/// The signals that people and machines end programs with, and that none of netlab's own programs sends itself.
const FROM_OUTSIDE: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM];

/// Explains why a program's end was not caused by the run, if it was not. An untrusted program is always taken to
/// have ended itself: otherwise, killing itself would be a way not to fail.
pub fn ended(program: &Program, status: ExitStatus, are_strangers: bool) -> Option<String> {
    let ExitStatus::Signaled(signal) = status else { return None };
    let is_from_outside =
        if program.is_own { signal == SIGKILL && !are_strangers } else { FROM_OUTSIDE.contains(&signal) };
    if !is_from_outside || program.signaled.contains(&signal) {
        return None;
    }
    let signal = signals::name(signal).unwrap_or_default();
    let Program { command, host, .. } = program;
    Some(format!("`{command}` on {host} was ended by {signal}, which this exercise did not send"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_nobody_here_caused_is_from_outside() {
        use ExitStatus::{Exited, Signaled};
        let reference = Program::new("client1", "tcpecho server 8002", Some(10));
        let mut own = reference.clone();
        own.is_own = true;
        for (program, status, are_strangers, is_from_outside) in [
            (&reference, Signaled(SIGKILL), false, true),
            (&reference, Signaled(SIGKILL), true, true),
            (&reference, Signaled(SIGTERM), false, true),
            (&reference, Signaled(nix::libc::SIGPIPE), false, false),
            (&reference, Exited(1), false, false),
            (&own, Signaled(SIGKILL), false, true),
            (&own, Signaled(SIGTERM), false, false),
            (&own, Signaled(SIGKILL), true, false),
        ] {
            let why = ended(program, status, are_strangers);
            assert_eq!(why.is_some(), is_from_outside, "{status} {} {are_strangers}", program.is_own);
        }
        let why = ended(&reference, Signaled(SIGKILL), false).unwrap();
        assert!(why.starts_with("`tcpecho server 8002` on client1 was ended by SIGKILL"), "{why}");
        let mut signaled = reference;
        signaled.signaled.push(SIGKILL);
        assert_eq!(ended(&signaled, Signaled(SIGKILL), false), None);
    }
}

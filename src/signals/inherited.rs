//! What a program takes over from whoever started it, and when it may be interrupted.

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};

/// To be called first of all. Whoever ignores its children's ends has a parent that never hears of its own; and a limit
/// on the size of files is an error like a full disk, and not the end.
#[allow(unsafe_code, reason = "what is done at a signal is the whole process's")]
pub fn begin() {
    for (which, then) in [(Signal::SIGCHLD, SigHandler::SigDfl), (Signal::SIGXFSZ, SigHandler::SigIgn)] {
        // SAFETY: neither of them runs code of ours. It fails for a signal that cannot be caught only.
        let _ = unsafe { signal(which, then) };
    }
}

/// Keeps this thread from being interrupted until it is dropped: what is half done would stay behind. A program with
/// more threads has one that waits for these signals.
pub(crate) struct Uninterrupted {
    before: SigSet,
}

impl Uninterrupted {
    /// From now on.
    pub(crate) fn begin() -> Self {
        let held = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let before = SigSet::from_iter(held).thread_swap_mask(SigmaskHow::SIG_BLOCK);
        // Fails for a wrong `how` only.
        Self { before: before.unwrap_or_else(|_| SigSet::empty()) }
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // As before.
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn a_signal_waits_until_the_work_is_done() {
        let held = Uninterrupted::begin();
        // To this thread; without the hold it would end the tests.
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(SigSet::from(Signal::SIGTERM).wait(), Ok(Signal::SIGTERM));
        drop(held);
        assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
    }
}

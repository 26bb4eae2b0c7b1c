//! What a program inherits from its parent, and when it may be interrupted.

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};

/// To be called before anything else. A parent that ignores SIGCHLD passes that on, and this process would never
/// learn of its children's ends. Reaching a file size limit should be an error like a full disk, not the end.
#[allow(unsafe_code, reason = "a signal's disposition belongs to the whole process")]
pub fn begin() {
    for (which, then) in [(Signal::SIGCHLD, SigHandler::SigDfl), (Signal::SIGXFSZ, SigHandler::SigIgn)] {
        // SAFETY: neither disposition runs code of ours. It fails only for a signal that cannot be caught.
        let _ = unsafe { signal(which, then) };
    }
}

/// Blocks interrupting signals in this thread until dropped, so that nothing is left half done. A program
/// with more threads has one that waits for these signals.
pub(crate) struct Uninterrupted {
    before: SigSet,
}

impl Uninterrupted {
    /// Starts blocking them.
    pub(crate) fn begin() -> Self {
        let held = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let before = SigSet::from_iter(held).thread_swap_mask(SigmaskHow::SIG_BLOCK);
        // Fails only for an invalid `how`.
        Self { before: before.unwrap_or_else(|_| SigSet::empty()) }
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // Restores the mask.
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
        // Sent to this thread; if it were not blocked, it would end the tests.
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(SigSet::from(Signal::SIGTERM).wait(), Ok(Signal::SIGTERM));
        drop(held);
        assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
    }
}

//! Tests that run once on each runtime.

use libtest_mimic::Trial;
use netlab::runtime::RuntimeKind;

use super::available;

/// Returns a test that fails if it panics.
pub fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// The tests on one runtime.
pub struct On {
    suite: &'static str,
    pub kind: RuntimeKind,
    /// Why this machine cannot offer it, if it cannot.
    pub missing: Option<String>,
}

impl On {
    /// Namespaces, and Docker.
    pub fn each(suite: &'static str) -> [Self; 2] {
        [RuntimeKind::Namespaces, RuntimeKind::Docker].map(|kind| Self::runtime(suite, kind))
    }

    /// One of them.
    pub fn runtime(suite: &'static str, kind: RuntimeKind) -> Self {
        Self { suite, kind, missing: available(kind) }
    }

    /// Returns a test on this runtime. If the machine cannot offer it, the test is ignored and its name says
    /// why.
    pub fn trial(&self, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
        let why = self.missing.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        trial(&format!("{}::{}{why}::{name}", self.suite, self.kind), test)
            .with_ignored_flag(self.missing.is_some())
    }
}

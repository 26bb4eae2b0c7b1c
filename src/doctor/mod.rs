//! Finds out by trying whether labs can run on this machine, and how to fix what is missing.

mod docker;
mod machine;
mod runtimes;
mod walls;

use serde::Serialize;

use crate::{Error, Result, runtime::RuntimeKind};

/// The state of one thing that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Labs run, but with a shortcoming.
    Warn,
    /// It is needed and missing.
    Missing,
}

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was checked, e.g. `docker`.
    pub check: &'static str,
    /// Its state.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// The command that fixes it, or what to do if there is none.
    pub fix: Option<String>,
    /// What it is needed for.
    #[serde(skip)]
    pub why: &'static str,
}

impl Finding {
    fn ok(check: &'static str, why: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Ok, detail: detail.into(), fix: None, why }
    }

    /// Changes the finding to one that needs a fix.
    fn bad(mut self, state: State, fix: impl Into<String>) -> Self {
        (self.state, self.fix) = (state, Some(fix.into()));
        self
    }

    /// Returns the finding for a runtime that cannot run. Most errors carry a hint; `fix` is for those without.
    fn failed(check: &'static str, why: &'static str, error: &Error, fix: &str) -> Self {
        let fix = error.hint.clone().unwrap_or_else(|| fix.to_owned());
        Self::ok(check, why, error.with_causes()).bad(State::Missing, fix)
    }
}

/// All findings, and the runtimes that can run, in the order in which they are chosen.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each check, in the order to read them.
    pub findings: Vec<Finding>,
    /// Empty if no lab can run here.
    pub runtimes: Vec<RuntimeKind>,
}

/// Takes down the trial labs.
pub async fn clear() -> Result<()> {
    let (docker, namespaces) = tokio::join!(docker::clear(), runtimes::clear());
    docker.and(namespaces)
}

/// Checks everything. This builds a small lab on each runtime and takes it down again; if the future is dropped
/// before it completes, [`clear`] takes them down.
pub async fn examine() -> Report {
    let (mut findings, namespaces) = tokio::join!(docker::docker(), runtimes::namespaces());
    findings.extend(namespaces);
    let can_run = |kind: &RuntimeKind| {
        let name = kind.to_string();
        findings.iter().any(|f| f.check == name && f.state == State::Ok)
    };
    let runtimes: Vec<_> =
        [RuntimeKind::Docker, RuntimeKind::Namespaces].into_iter().filter(can_run).collect();
    if !runtimes.is_empty() {
        // One runtime is enough, so the other one is not needed.
        for finding in findings.iter_mut().filter(|f| f.state == State::Missing) {
            finding.state = State::Warn;
        }
    }
    findings.extend(machine::examine());
    Report { findings, runtimes }
}

//! Whether labs can run on this machine, found out by trying, and what mends what is missing.

mod docker;
mod machine;
mod runtimes;
mod walls;

use serde::Serialize;

use crate::{Error, Result, runtime::RuntimeKind};

/// How one thing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Labs run, and something about them is less than it could be.
    Warn,
    /// It is needed, and not there.
    Missing,
}

/// What one look has found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at, as `docker`.
    pub check: &'static str,
    /// How it does.
    pub state: State,
    /// What was seen.
    pub detail: String,
    /// The command that mends it, or what to do where no command does.
    pub mend: Option<String>,
    /// What it is good for.
    #[serde(skip)]
    pub why: &'static str,
}

impl Finding {
    fn ok(check: &'static str, why: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Ok, detail: detail.into(), mend: None, why }
    }

    /// Something is not as it should be, and this is what to do.
    fn bad(mut self, state: State, mend: impl Into<String>) -> Self {
        (self.state, self.mend) = (state, Some(mend.into()));
        self
    }

    /// A runtime cannot run, for this reason. Most errors know what to do; else it is `mend`.
    fn failed(check: &'static str, why: &'static str, error: &Error, mend: &str) -> Self {
        let mend = error.hint.clone().unwrap_or_else(|| mend.to_owned());
        Self::ok(check, why, error.with_causes()).bad(State::Missing, mend)
    }
}

/// What there is, and which runtimes can run, in the order in which they are chosen.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each look, in the order in which to read them.
    pub findings: Vec<Finding>,
    /// None: no lab can run here.
    pub runtimes: Vec<RuntimeKind>,
}

/// Takes down the labs that were built to be looked at.
pub async fn clear() -> Result<()> {
    let (docker, namespaces) = tokio::join!(docker::clear(), runtimes::clear());
    docker.and(namespaces)
}

/// Looks at everything. A small lab on each runtime is built for it and taken down again; if this is not
/// waited for to the end, [`clear`] takes them down.
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
        // One runtime is enough, so the other one is no longer needed.
        for finding in findings.iter_mut().filter(|f| f.state == State::Missing) {
            finding.state = State::Warn;
        }
    }
    findings.extend(machine::examine());
    Report { findings, runtimes }
}

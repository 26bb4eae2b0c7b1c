//! What all commands on a lab share: choosing the lab, its runtime and a host.

use std::{future::Future, io, os::unix::net::UnixStream};

use anyhow::Result;
use clap::ValueEnum;
use netlab::{
    Error,
    commandline::in_lab,
    error::Context,
    runtime::{self, LabState, Runtime, RuntimeKind},
    suggest::nearest,
};
use tokio::signal::unix::{SignalKind, signal};

/// The options that choose a lab and its runtime.
#[derive(Clone, Debug, clap::Args)]
pub struct LabArgs {
    /// The lab's name; several labs can be up at once.
    #[arg(long, value_name = "NAME", env = "NETLAB_LAB", default_value = netlab::topology::DEFAULT_LAB)]
    pub lab: String,
    /// What the lab runs on; `auto` is Docker if an engine answers, otherwise namespaces.
    #[arg(long, value_name = "KIND", env = "NETLAB_RUNTIME", default_value = "auto")]
    pub runtime: Choice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Choice {
    Auto,
    Docker,
    Namespaces,
}

impl Choice {
    /// Returns the runtime named, or `None` for `auto`.
    pub fn kind(self) -> Option<RuntimeKind> {
        match self {
            Self::Auto => None,
            Self::Docker => Some(RuntimeKind::Docker),
            Self::Namespaces => Some(RuntimeKind::Namespaces),
        }
    }
}

impl LabArgs {
    /// Returns the runtime named, or `None` for `auto`.
    pub fn kind(&self) -> Option<RuntimeKind> {
        self.runtime.kind()
    }

    /// Opens the lab, which must be up and belong to this user.
    pub async fn open(&self) -> netlab::Result<(Box<dyn Runtime>, LabState)> {
        let (runtime, lab) = runtime::expect(&self.lab, self.kind()).await?;
        runtime::owner::check(&self.lab, lab.owner.as_ref())?;
        Ok((runtime, lab))
    }

    /// Opens the lab, which must be up and have a host with this name.
    pub async fn open_with(&self, host: &str) -> netlab::Result<(Box<dyn Runtime>, LabState)> {
        let (runtime, lab) = self.open().await?;
        let names = || lab.plan.hosts.iter().map(|h| h.name.as_str());
        if names().any(|n| n == host) {
            return Ok((runtime, lab));
        }
        let error = Error::usage(format!("no host named \"{host}\" in lab \"{}\"", self.lab));
        Err(match nearest(host, names()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("its hosts are: {}", names().collect::<Vec<_>>().join(", "))),
        })
    }

    /// Opens the lab, which must be up and have this host running.
    pub async fn open_host(&self, host: &str) -> netlab::Result<(Box<dyn Runtime>, LabState)> {
        let (runtime, lab) = self.open_with(host).await?;
        if !lab.is_running(host) {
            return Err(Error::lab(format!("host {host} of lab \"{}\" is not running", self.lab)).hint(
                format!(
                    "`{}` starts it, `{}` rebuilds the whole lab",
                    in_lab(&format!("netlab host {host} --start"), &self.lab),
                    in_lab("netlab up", &self.lab)
                ),
            ));
        }
        Ok((runtime, lab))
    }
}

/// Runs a command's asynchronous part, without waiting at the end for a terminal read that may never return.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    block_on_with(tokio::runtime::Builder::new_current_thread(), work)
}

/// Like [`block_on`], on several threads, for a command that works on several labs at once.
pub fn block_on_threads<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // Tokio itself panics if no thread can be started.
    std::thread::Builder::new().spawn(|| ()).or_lab(|| "cannot start a thread")?;
    block_on_with(tokio::runtime::Builder::new_multi_thread(), work)
}

fn block_on_with<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let runtime = build(&mut builder).or_lab(|| "cannot start the asynchronous runtime")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Pairs of sockets opened to probe for the descriptors that a Tokio runtime takes.
const PAIRS: usize = 4;

/// Builds the Tokio runtime, which panics if no descriptors are left for its signals: so those are probed for first.
fn build(builder: &mut tokio::runtime::Builder) -> io::Result<tokio::runtime::Runtime> {
    let room: io::Result<Vec<_>> = (0..PAIRS).map(|_| UnixStream::pair()).collect();
    drop(room?);
    builder.enable_all().build()
}

/// Completes when the program is asked to stop: by ^C, a closed terminal or `kill`. Signals are caught from the
/// call on, not only from the first poll.
pub fn interrupted() -> impl Future<Output = ()> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals = kinds.map(signal);
    async move {
        // All three can be caught, so this does not fail.
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

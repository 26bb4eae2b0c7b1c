//! What the commands that work on a lab have in common: which lab, which runtime, which host.

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

/// Which lab, and on what.
#[derive(Clone, Debug, clap::Args)]
pub struct LabArgs {
    /// The lab's name; several run side by side.
    #[arg(long, value_name = "NAME", env = "NETLAB_LAB", default_value = netlab::topology::DEFAULT_LAB)]
    pub lab: String,
    /// What hosts are made of; `auto`: Docker where an engine answers, else namespaces.
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
    /// The runtime named, if one is.
    pub fn kind(self) -> Option<RuntimeKind> {
        match self {
            Self::Auto => None,
            Self::Docker => Some(RuntimeKind::Docker),
            Self::Namespaces => Some(RuntimeKind::Namespaces),
        }
    }
}

impl LabArgs {
    /// The runtime named, if one is.
    pub fn kind(&self) -> Option<RuntimeKind> {
        self.runtime.kind()
    }

    /// The lab, which must be up and not be somebody else's.
    pub async fn open(&self) -> netlab::Result<(Box<dyn Runtime>, LabState)> {
        let (runtime, lab) = runtime::expect(&self.lab, self.kind()).await?;
        runtime::owner::check(&self.lab, lab.owner.as_ref())?;
        Ok((runtime, lab))
    }

    /// The lab, which must be up and have a host of that name.
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

    /// The lab, which must be up and have that host running.
    pub async fn open_host(&self, host: &str) -> netlab::Result<(Box<dyn Runtime>, LabState)> {
        let (runtime, lab) = self.open_with(host).await?;
        if !lab.is_running(host) {
            return Err(Error::lab(format!("host {host} of lab \"{}\" does not run", self.lab)).hint(
                format!(
                    "`{}` starts it, `{}` the whole lab anew",
                    in_lab(&format!("netlab host {host} --start"), &self.lab),
                    in_lab("netlab up", &self.lab)
                ),
            ));
        }
        Ok((runtime, lab))
    }
}

/// Runs a command's asynchronous part, and does not wait for a read of the terminal that may never end.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    block_on_with(tokio::runtime::Builder::new_current_thread(), work)
}

/// The same of a command that looks after several labs at a time.
pub fn block_on_threads<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // The runtime itself would panic where there can be none.
    std::thread::Builder::new().spawn(|| ()).or_lab(|| "cannot start a thread")?;
    block_on_with(tokio::runtime::Builder::new_multi_thread(), work)
}

fn block_on_with<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let runtime = build(&mut builder).or_lab(|| "cannot wait for several things at once")?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// So many pairs of sockets stand for the descriptors that a runtime takes.
const PAIRS: usize = 4;

/// Makes the runtime. It would panic where it has no descriptors left for its signals, and so they are looked for first.
fn build(builder: &mut tokio::runtime::Builder) -> io::Result<tokio::runtime::Runtime> {
    let room: io::Result<Vec<_>> = (0..PAIRS).map(|_| UnixStream::pair()).collect();
    drop(room?);
    builder.enable_all().build()
}

/// Ends when the user or the system asks the program to stop: ^C, a closed terminal, `kill`. Also if that
/// was between the call and the first time that anybody waits.
pub fn interrupted() -> impl Future<Output = ()> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals = kinds.map(signal);
    async move {
        // None of them is a signal that cannot be caught.
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

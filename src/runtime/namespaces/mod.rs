//! Labs on plain Linux namespaces, for root and, through user namespaces, for everyone.
//!
//! A lab is one background process, its [`keeper`]; this module is its client. [`protocol`] defines their
//! messages, [`state`] the location of a lab's files.

mod client;
pub mod keeper;
pub mod launch;
mod logs;
pub(crate) mod protocol;
pub(super) mod state;

use std::{
    fs::File,
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use async_trait::async_trait;
use ipnet::Ipv4Net;
use tokio::{io::AsyncWriteExt, process, time::timeout};

use super::{
    ByteStream, Command, HostState, LabState, Process, Progress, Runtime, RuntimeKind, Step, Warning, Watch,
    WatchedHost, wire::listens,
};
use crate::{Error, Result, error::Context, kernel::ExitStatus, own, topology::Plan};
use client::Connection;
use protocol::{Order, Outcome, Reply, Request};
use state::{Base, Found};

/// How long a keeper may take to end before it is killed.
const GOING: Duration = Duration::from_secs(5);

/// How often clearing is retried when a lab turns out to be alive.
const TRIES: usize = 5;

/// The runtime on namespaces.
#[derive(Clone, Debug)]
pub struct Namespaces {
    base: Base,
    program: PathBuf,
}

impl Namespaces {
    /// Uses the state folder that the environment and the user select.
    pub fn new() -> Self {
        // Refers to the running program even after another version is installed over it.
        Self { base: Base::locate(), program: "/proc/self/exe".into() }
    }

    /// Uses the `keeper` of another `netlab` program.
    #[must_use]
    pub fn with_program(mut self, netlab: impl Into<PathBuf>) -> Self {
        self.program = netlab.into();
        self
    }

    /// Uses another state folder.
    #[must_use]
    pub fn with_state(mut self, folder: impl Into<PathBuf>) -> Self {
        self.base = Base::at(folder);
        self
    }

    /// Checks whether labs can be built here, by building a host and ending it.
    ///
    /// # Errors
    /// What is missing, with a hint how to get it.
    pub async fn available(&self) -> Result<()> {
        let base = self.base.prepare()?;
        let mut check = process::Command::new(&self.program);
        let check = check.args(["keeper", "--check"]).arg(base.path()).stdin(Stdio::null()).output().await;
        let check = check.or_lab(|| format!("cannot run {}", self.program.display()))?;
        read_outcome(&check).map(drop)
    }

    /// Waits until a host's server listens; done here, since the keeper must stay available to others. If it
    /// does not listen, that was already reported when the lab came up.
    async fn wait_for_server(&self, lab: &str, booted: &WatchedHost) -> Result<()> {
        let Some(plan) = self.base.lab(lab)?.map(|folder| folder.plan()).transpose()?.flatten() else {
            return Ok(());
        };
        let Some(host) = plan.host(&booted.name).cloned() else { return Ok(()) };
        let init = booted.init;
        let waiting = crate::aside(move || drop(listens::wait(&[(&host, init)])));
        waiting.await.or_lab(|| "cannot wait for the host's server")
    }

    /// Connects to the lab's keeper.
    fn connect(&self, lab: &str) -> Result<Connection> {
        let folder = self.base.lab(lab)?;
        let found = folder.as_ref().map(Connection::open).transpose()?.flatten();
        found.ok_or_else(|| Error::lab(format!("lab {lab} is not up")).hint("`netlab up` builds it"))
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Runtime for Namespaces {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Namespaces
    }

    /// None: a lab's switch is in its own network namespace, unreachable from any other network.
    async fn taken_subnets(&self) -> Result<Vec<Ipv4Net>> {
        Ok(Vec::new())
    }

    async fn up(&self, plan: &Plan, progress: Progress<'_>) -> Result<()> {
        let folder = self.base.prepare()?.lab(&plan.lab)?;
        // A keeper outlives its hosts and keeps what is left of the lab.
        if self.lab(&plan.lab).await?.is_some_and(|lab| !lab.is_whole()) {
            self.down(&plan.lab).await?;
        }
        progress(Step { what: "building the hosts".into(), ..Step::default() });
        let order = Order { plan: plan.clone(), folder };
        for warning in start_keeper(&self.program, &order).await? {
            progress(warning.into());
        }
        Ok(())
    }

    async fn down(&self, lab: &str) -> Result<bool> {
        let mut found = false;
        for _ in 0..TRIES {
            let Some(folder) = self.base.lab(lab)?.filter(Found::is_labs) else { return Ok(found) };
            if let Some(mut keeper) = Connection::open(&folder)? {
                found = true;
                if let Some(life) = keeper.life()? {
                    match timeout(GOING, send_away(&mut keeper)).await {
                        Ok(Ok(left)) if left.is_empty() => return life.end().await.map(|()| true),
                        Ok(Ok(left)) => {
                            return Err(Error::lab(format!(
                                "lab {lab} is down, except for {}",
                                left.join("; ")
                            )));
                        }
                        // It died doing so: what it left is cleared like that of any dead keeper.
                        Ok(Err(_)) => {}
                        Err(_) => life.kill()?,
                    }
                    life.end().await?;
                }
            }
            let clear = crate::aside(move || clear_dead(&folder));
            // `None`: its keeper was still building it at the first attempt.
            if let Some(left) = clear.await.or_lab(|| format!("cannot clear lab {lab}"))?? {
                return Ok(found || left);
            }
        }
        Err(Error::lab(format!("lab {lab} restarts whenever it is taken down"))
            .hint("end the `netlab up` that restarts it"))
    }

    async fn names(&self) -> Result<Vec<String>> {
        let mut names = self.base.labs()?;
        // A folder that cannot be read is kept: clearing it will report why.
        names.retain(|name| self.base.lab(name).map_or(true, |found| found.is_some_and(|it| it.is_labs())));
        Ok(names)
    }

    async fn labs(&self) -> Result<Vec<LabState>> {
        let mut labs = Vec::new();
        for name in self.base.labs()? {
            labs.extend(self.lab(&name).await?);
        }
        Ok(labs)
    }

    async fn lab(&self, lab: &str) -> Result<Option<LabState>> {
        let Some(folder) = self.base.lab(lab)? else { return Ok(None) };
        let Some(plan) = folder.plan()? else { return Ok(None) };
        let mut hosts = vec![HostState::Missing; plan.hosts.len()];
        if let Some(mut keeper) = Connection::open(&folder)? {
            match keeper.ask(&Request::Hosts, &[]).await {
                Ok((Reply::Hosts(states), _)) => hosts = states,
                Ok((other, _)) => return Err(client::unexpected(&other)),
                // It ended during the request.
                Err(_) if folder.plan()?.is_none() => return Ok(None),
                Err(_) => {}
            }
        }
        // A folder belongs to one user, and building or clearing a lab locks the folder.
        Ok(Some(LabState { plan, hosts, half_way: false, owner: None }))
    }

    async fn stop_host(&self, lab: &str, host: &str) -> Result<()> {
        match self.connect(lab)?.ask(&Request::Stop { host: host.to_owned() }, &[]).await? {
            (Reply::Done, _) => Ok(()),
            (other, _) => Err(client::unexpected(&other)),
        }
    }

    async fn start_host(&self, lab: &str, host: &str) -> Result<WatchedHost> {
        match self.connect(lab)?.ask(&Request::Boot { host: host.to_owned() }, &[]).await? {
            (Reply::Booted(watched), _) => {
                self.wait_for_server(lab, &watched).await?;
                Ok(watched)
            }
            (other, _) => Err(client::unexpected(&other)),
        }
    }

    async fn exec(&self, lab: &str, host: &str, command: &Command) -> Result<Process> {
        client::exec(self.connect(lab)?, host, command).await
    }

    async fn start(&self, lab: &str, host: &str, command: &Command) -> Result<()> {
        let request = Request::Start { host: host.to_owned(), command: command.clone() };
        match self.connect(lab)?.ask(&request, &[]).await? {
            (Reply::Spawned { .. }, _) => Ok(()),
            (other, _) => Err(client::unexpected(&other)),
        }
    }

    async fn logs(&self, lab: &str, host: &str, follow: bool) -> Result<ByteStream> {
        let not_up = || Error::lab(format!("lab {lab} is not up"));
        let folder = self.base.lab(lab)?.ok_or_else(not_up)?;
        let plan = folder.plan()?.ok_or_else(not_up)?;
        if plan.host(host).is_none() {
            return Err(Error::lab(format!("lab {lab} has no host {host}")));
        }
        // A dead lab's log exists until the lab is cleared, and no longer grows.
        if follow && let Some(keeper) = Connection::open(&folder)? {
            return Ok(Box::new(logs::Follow::new(&folder, host, keeper)?));
        }
        let (mut log, path) = folder.log(host)?;
        // The keeper limits its size.
        let mut said = Vec::new();
        io::Read::read_to_end(&mut log, &mut said).or_lab(|| format!("cannot read {}", path.display()))?;
        Ok(Box::new(io::Cursor::new(said)))
    }

    async fn observe(&self, lab: &str) -> Result<(Process, Watch)> {
        client::observe(self.connect(lab)?).await
    }
}

/// Opens a file beside the labs' folders, to be locked, that concerns no single lab. Lab names have no dot.
pub(super) fn own_file(name: &str) -> Result<File> {
    let path = Base::locate().prepare()?.path().join(name);
    own::append(&path).or_lab(|| format!("cannot open {}", path.display()))
}

/// Starts a keeper and waits until its lab is up. Returns its warnings.
async fn start_keeper(program: &PathBuf, order: &Order) -> Result<Vec<Warning>> {
    let what = || "cannot start the lab's keeper";
    let order_text = serde_json::to_vec(order).or_lab(what)?;
    let mut keeper = process::Command::new(program)
        .args(["keeper", &order.plan.lab])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_lab(what)?;
    if let Some(mut stdin) = keeper.stdin.take() {
        match stdin.write_all(&order_text).await {
            // It has already ended, and says why.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.or_lab(what)?,
        }
    }
    let said = keeper.wait_with_output().await.or_lab(what)?;
    read_outcome(&said)
}

fn read_outcome(said: &Output) -> Result<Vec<Warning>> {
    match serde_json::from_slice(&said.stdout) {
        Ok(Outcome::Ready { warnings }) => Ok(warnings),
        Ok(Outcome::Failed(failure)) => Err(failure.into()),
        Err(_) => {
            let last = String::from_utf8_lossy(&said.stderr).trim().to_owned();
            let how = || match said.status.code().and_then(|code| u8::try_from(code).ok()) {
                Some(code) => ExitStatus::from_code(code).to_string(),
                None => ExitStatus::Signaled(said.status.signal().unwrap_or_default()).to_string(),
            };
            let cause = if last.is_empty() { how() } else { last };
            Err(Error::lab("the lab's keeper died").caused_by(cause))
        }
    }
}

/// Has a keeper take its lab down. Returns descriptions of what is left.
async fn send_away(keeper: &mut Connection) -> Result<Vec<String>> {
    match keeper.ask(&Request::Down, &[]).await? {
        (Reply::Gone { left }, _) => Ok(left),
        (other, _) => Err(client::unexpected(&other)),
    }
}

/// Clears what a dead keeper left, once nobody is building the lab any more. Returns whether there was
/// anything; `None` if a keeper is alive.
fn clear_dead(folder: &Found) -> Result<Option<bool>> {
    let claim = folder.folder().claim()?;
    let Some(_life) = claim.life()? else { return Ok(None) };
    let found = folder.plan()?.is_some();
    keeper::cgroup::clear(&folder.folder().cgroups())?;
    claim.remove()?;
    Ok(Some(found))
}

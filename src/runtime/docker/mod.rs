//! Labs on a Docker engine: one container per host, one bridge network per segment.
//!
//! A lab consists of everything that carries its label (see [`names`]); nothing else is searched or removed.

mod base;
mod connect;
mod copies;
mod errors;
mod exec;
mod image;
mod names;
mod observer;
mod parts;
mod power;
mod requests;
mod turn;
mod wire;

use std::path::PathBuf;

use async_trait::async_trait;
use bollard::{
    Docker as Engine,
    errors::Error::DockerResponseServerError,
    query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder, StartContainerOptions},
};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all};
use ipnet::Ipv4Net;
use tokio::sync::oneshot;
use tokio_util::io::StreamReader;

use super::{
    ByteStream, Command, LabState, Process, Progress, Runtime, RuntimeKind, Step, Watch, WatchedHost, owner,
};
use crate::{
    Error, Result,
    error::Context,
    topology::{HostPlan, Plan},
};
use errors::EngineContext;
use image::Image;
use parts::Parts;
use turn::Turn;

/// The runtime on a Docker engine.
pub struct Docker {
    engine: Engine,
    version: String,
    programs: PathBuf,
}

impl Docker {
    /// Connects to the engine that the environment and the user's Docker configuration select.
    ///
    /// # Errors
    /// No engine answers.
    pub async fn connect() -> Result<Self> {
        let (engine, version) = connect::connect().await?;
        Ok(Self { engine, version, programs: image::programs()? })
    }

    /// Uses the programs in another folder than this program's own.
    #[must_use]
    pub fn with_programs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.programs = folder.into();
        self
    }

    /// Returns the engine's version, e.g. `20.10.24`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the tag of the hosts' image and whether the engine has it.
    pub async fn has_image(&self) -> Result<(String, bool)> {
        let image = self.image().await?;
        let there = image.is_there(&self.engine).await?;
        Ok((image.tag, there))
    }

    async fn image(&self) -> Result<Image> {
        let folder = self.programs.clone();
        let image = crate::aside(move || Image::of(&folder)).await;
        image.map_err(|e| Error::lab("cannot read netlab's programs").caused_by(e))?
    }

    /// Returns the hosts' image, building it if the engine does not have it.
    async fn ensure_image(&self, progress: Progress<'_>) -> Result<Image> {
        let image = self.image().await?;
        image.ensure(&self.engine, progress).await?;
        Ok(image)
    }

    async fn build(&self, turn: &Turn, plan: &Plan, progress: Progress<'_>) -> Result<()> {
        // Of the whole lab, the observer needs only the image.
        let (image_ready, image) = oneshot::channel();
        let prepare = async {
            let image: String = image.await.or_lab(|| "the image could not be made")?;
            wire::prepare(&self.engine, turn, &plan.lab, &image).await
        };
        let (hosts, prepared) = tokio::join!(self.build_hosts(turn, plan, progress, image_ready), prepare);
        hosts?;
        let closing = wire::close(&self.engine, plan, prepared);
        let (filled, open) = tokio::join!(copies::fill(&self.engine, plan), closing);
        for warning in open {
            progress(warning.into());
        }
        filled
    }

    /// Builds the segments and their hosts. Sends the image's tag to `image_ready` as soon as the engine has
    /// it.
    async fn build_hosts(
        &self,
        turn: &Turn,
        plan: &Plan,
        progress: Progress<'_>,
        image_ready: oneshot::Sender<String>,
    ) -> Result<()> {
        let networks = try_join_all((0..plan.segments.len()).map(|n| self.make_network(turn, plan, n)));
        let volumes = copies::make(&self.engine, turn, plan);
        let image = async {
            let image = self.ensure_image(progress).await?;
            // The receiver may have failed already.
            let _ = image_ready.send(image.tag.clone());
            Ok(image)
        };
        let (_, (), image) = tokio::try_join!(networks, volumes, image)?;
        let count = std::sync::atomic::AtomicU64::new(0);
        let advance = |more| {
            let done = count.fetch_add(more, std::sync::atomic::Ordering::Relaxed) + more;
            let total = Some(plan.hosts.len() as u64);
            progress(Step { what: "starting the hosts".into(), done, total, ..Step::default() });
        };
        advance(0);
        let hosts = plan.hosts.iter().map(|host| async {
            self.make_host(turn, plan, host, &image.tag).await?;
            advance(1);
            Ok(())
        });
        try_join_all(hosts).await.map(drop)
    }

    /// Returns the lab of that name.
    async fn known(&self, lab: &str) -> Result<LabState> {
        let state = self.lab(lab).await?;
        state.ok_or_else(|| Error::lab(format!("lab {lab} is not up")).hint("`netlab up` builds it"))
    }

    /// Runs a command in the lab's observer, on a host's network: the host itself may not be allowed to
    /// change it.
    async fn exec_on_network(&self, lab: &str, host: &str, command: &Command) -> Result<Process> {
        let host = observer::watched_host(&self.engine, lab, host);
        let (host, image) = tokio::try_join!(host, self.image())?;
        if let Ok(process) =
            observer::run(&self.engine, lab, &image.tag, wire::on_network(&host, command)).await
        {
            return Ok(process);
        }
        self.start_observer(lab, &image).await?;
        observer::run(&self.engine, lab, &image.tag, wire::on_network(&host, command)).await
    }

    /// Starts an observer if the lab has none of this version of netlab, e.g. after an upgrade.
    async fn start_observer(&self, lab: &str, image: &Image) -> Result<()> {
        image.ensure(&self.engine, &|_| ()).await?;
        let turn = Turn::take(lab).await?;
        observer::start(&self.engine, &turn, lab, &image.tag).await?;
        turn.pass().await
    }

    async fn make_network(&self, turn: &Turn, plan: &Plan, n: usize) -> Result<()> {
        let segment = &plan.segments[n];
        let what = || format!("cannot make the segment {} with {}", segment.name, segment.subnet);
        let (engine, network) = (self.engine.clone(), requests::network(plan, n));
        let made = async move { engine.create_network(network).await };
        match turn.ask(&names::segment(&plan.lab, &segment.name), made).await? {
            Err(DockerResponseServerError { message, .. }) if message.contains("overlaps") => {
                Err(Error::subnet_taken(what())
                    .caused_by(message)
                    .hint("`docker network ls` shows the networks that may use it"))
            }
            made => made.or_engine(what).map(drop),
        }
    }

    async fn make_host(&self, turn: &Turn, plan: &Plan, host: &HostPlan, image: &str) -> Result<()> {
        let name = names::host(&plan.lab, &host.name);
        let what = || format!("cannot start host {}", host.name);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let (engine, body) = (self.engine.clone(), requests::host(plan, host, image));
        let made = async move { engine.create_container(Some(options), body).await };
        turn.ask(&name, made).await?.or_engine(what)?;
        self.engine.start_container(&name, None::<StartContainerOptions>).await.or_engine(what)?;
        // Attached one at a time while the host runs, so that they become eth1, eth2, … in the plan's order.
        for link in &host.links[1..] {
            let network = names::segment(&plan.lab, &link.segment);
            let connected =
                self.engine.connect_network(&network, requests::attachment(plan, host, link)).await;
            connected.or_engine(|| format!("cannot attach {} to {}", host.name, link.segment))?;
        }
        Ok(())
    }
}

fn no_host(lab: &str, host: &str) -> Error {
    Error::lab(format!("lab {lab} has no host {host}"))
}

#[async_trait]
impl Runtime for Docker {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    /// The subnets of every network of the engine, whoever created it.
    async fn taken_subnets(&self) -> Result<Vec<Ipv4Net>> {
        let all = self.engine.list_networks(None::<bollard::query_parameters::ListNetworksOptions>).await;
        let all = all.or_engine(|| "cannot list the engine's networks")?;
        let configs = all.into_iter().filter_map(|n| n.ipam?.config).flatten();
        Ok(configs.filter_map(|c| c.subnet?.parse().ok()).collect())
    }

    async fn up(&self, plan: &Plan, progress: Progress<'_>) -> Result<()> {
        let turn = Turn::take(&plan.lab).await?;
        let there = Parts::of(&self.engine, Some(&plan.lab)).await?;
        // Another netlab probably built it while this one waited.
        if !turn.was_half_way() && there.labs()?.iter().any(LabState::is_whole) {
            turn.pass().await?;
            return Err(Error::lab(format!("lab {} is already up", plan.lab))
                .hint(format!("`netlab down --lab {}` takes it down", plan.lab)));
        }
        owner::check(&plan.lab, there.owner(&plan.lab).as_ref())?;
        progress(Step { what: "building the hosts".into(), ..Step::default() });
        turn.half_way()?;
        parts::clear(&self.engine, &plan.lab, &turn).await?;
        let built = self.build(&turn, plan, progress).await;
        if built.is_ok() || parts::clear(&self.engine, &plan.lab, &turn).await.is_ok() {
            turn.finish().await?;
        }
        // The first error is more useful than those of the clean-up after it.
        built
    }

    async fn down(&self, lab: &str) -> Result<bool> {
        let turn = Turn::take(lab).await?;
        owner::check(lab, Parts::of(&self.engine, Some(lab)).await?.owner(lab).as_ref())?;
        // A full disk must not prevent a lab from being taken down.
        let _ = turn.half_way();
        let found = parts::clear(&self.engine, lab, &turn).await?;
        turn.finish().await?;
        Ok(found)
    }

    async fn labs(&self) -> Result<Vec<LabState>> {
        Parts::of(&self.engine, None).await?.labs()
    }

    async fn names(&self) -> Result<Vec<String>> {
        let (parts, volumes) =
            tokio::try_join!(Parts::of(&self.engine, None), parts::volumes(&self.engine, None))?;
        let mut names = parts.labs_of_mine(&volumes);
        names.extend(turn::left()?);
        Ok(names.into_iter().collect())
    }

    async fn lab(&self, lab: &str) -> Result<Option<LabState>> {
        Ok(Parts::of(&self.engine, Some(lab)).await?.labs()?.pop())
    }

    async fn stop_host(&self, lab: &str, host: &str) -> Result<()> {
        let state = self.known(lab).await?;
        let Some(plan) = state.plan.host(host) else { return Err(no_host(lab, host)) };
        if !state.is_running(host) {
            return Ok(());
        }
        power::cut(&self.engine, lab, plan).await
    }

    /// Starts the host in a new container, like a machine without a disk: an old container would get its
    /// links back in arbitrary order.
    async fn start_host(&self, lab: &str, host: &str) -> Result<WatchedHost> {
        let turn = Turn::take(lab).await?;
        let state = self.known(lab).await?;
        let Some(plan) = state.plan.host(host) else { return Err(no_host(lab, host)) };
        if !state.is_running(host) {
            turn.half_way()?;
            parts::remove_container(&self.engine, &names::host(lab, host)).await?;
            // netlab may have been upgraded since the lab was built.
            let image = self.ensure_image(&|_| ()).await?.tag;
            let started = self.make_host(&turn, &state.plan, plan, &image);
            let prepare = wire::prepare(&self.engine, &turn, lab, &image);
            let (started, prepared) = tokio::join!(started, prepare);
            started?;
            // If its ports cannot be locked, that was already reported when the lab came up.
            wire::lock(&self.engine, &state.plan, plan, prepared).await;
        }
        turn.pass().await?;
        observer::watched_host(&self.engine, lab, host).await
    }

    async fn exec(&self, lab: &str, host: &str, command: &Command) -> Result<Process> {
        if command.changes_network {
            return self.exec_on_network(lab, host, command).await;
        }
        exec::exec(&self.engine, &names::host(lab, host), command).await
    }

    async fn start(&self, lab: &str, host: &str, command: &Command) -> Result<()> {
        exec::start(&self.engine, &names::host(lab, host), command).await
    }

    async fn logs(&self, lab: &str, host: &str, follow: bool) -> Result<ByteStream> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).build();
        let lines = self.engine.logs(&names::host(lab, host), Some(options));
        let mut lines = Box::pin(
            lines.map_ok(bollard::container::LogOutput::into_bytes).map_err(std::io::Error::other).peekable(),
        );
        // Only now does a missing host become apparent.
        if let Some(Err(_)) = lines.as_mut().peek().await {
            let error = lines.next().await.and_then(Result::err).map(|e| e.to_string()).unwrap_or_default();
            return Err(Error::lab(format!("cannot read the log of {host}")).caused_by(error));
        }
        Ok(Box::new(StreamReader::new(lines)))
    }

    async fn observe(&self, lab: &str) -> Result<(Process, Watch)> {
        let state = self.known(lab).await?;
        let (watch, image) = tokio::try_join!(observer::watch(&self.engine, &state), self.image())?;
        if let Ok(process) = observer::look(&self.engine, lab, &image.tag).await {
            return Ok((process, watch));
        }
        self.start_observer(lab, &image).await?;
        Ok((observer::look(&self.engine, lab, &image.tag).await?, watch))
    }
}

//! Labs on a Docker engine: a container a host, a bridge network a segment.
//!
//! A lab is what carries its label (see [`names`]); nothing else is looked for or removed.

mod answer;
mod base;
mod bodies;
mod changes;
mod connect;
mod copies;
mod exec;
mod image;
mod names;
mod observer;
mod power;
mod wire;

use std::{collections::HashMap, path::PathBuf};

use async_trait::async_trait;
use bollard::{
    Docker as Engine,
    errors::Error::DockerResponseServerError,
    models::{ContainerSummary, ContainerSummaryStateEnum, Network},
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    },
};
use futures_util::{
    StreamExt, TryStreamExt,
    future::{join_all, try_join_all},
};
use ipnet::Ipv4Net;
use tokio::sync::oneshot;
use tokio_util::io::StreamReader;

use super::{
    ByteStream, Command, HostState, LabState, Process, Progress, Runtime, RuntimeKind, Step, Watch,
    WatchedHost,
};
use crate::{
    Error, Result,
    error::Context,
    topology::{HostPlan, Plan},
};
use answer::Answered;
use changes::Changes;
use image::Image;

/// The runtime on a Docker engine.
pub struct Docker {
    engine: Engine,
    changes: Changes,
    version: String,
    programs: PathBuf,
}

impl Docker {
    /// The engine that the environment and the user's Docker configuration call for.
    ///
    /// # Errors
    /// No engine answers.
    pub async fn connect() -> Result<Self> {
        let (engine, version) = connect::connect().await?;
        Ok(Self { engine, changes: Changes::default(), version, programs: image::programs()? })
    }

    /// With the programs of another folder than this program's own.
    #[must_use]
    pub fn with_programs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.programs = folder.into();
        self
    }

    /// The engine's version, as `20.10.24`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The tag of the hosts' image, and whether the engine has it.
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

    /// The hosts' image, built if the engine does not have it.
    async fn ensure_image(&self, progress: Progress<'_>) -> Result<Image> {
        let image = self.image().await?;
        image.ensure(&self.engine, progress).await?;
        Ok(image)
    }

    async fn containers(&self, lab: Option<&str>) -> Result<Vec<ContainerSummary>> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&names::filter(lab)).build();
        self.engine.list_containers(Some(options)).await.or_engine(|| "cannot list the labs' containers")
    }

    async fn networks(&self, lab: Option<&str>) -> Result<Vec<Network>> {
        let options = ListNetworksOptionsBuilder::default().filters(&names::filter(lab)).build();
        self.engine.list_networks(Some(options)).await.or_engine(|| "cannot list the labs' networks")
    }

    async fn states(&self, lab: Option<&str>) -> Result<Vec<LabState>> {
        let (networks, containers) = tokio::try_join!(self.networks(lab), self.containers(lab))?;
        let plans = networks.iter().filter_map(|n| label(n.labels.as_ref(), names::PLAN));
        // A plan of another version of netlab is not for us to understand: `down` clears it all the same.
        let plans = plans.filter_map(|plan| serde_json::from_str::<Plan>(plan).ok());
        Ok(plans.map(|plan| LabState { hosts: host_states(&plan, &containers), plan }).collect())
    }

    async fn build(&self, plan: &Plan, progress: Progress<'_>) -> Result<()> {
        // The observer needs the image and nothing else of the lab.
        let (tell_image, image) = oneshot::channel();
        let prepare = async {
            let image: String = image.await.or_lab(|| "there is no image")?;
            wire::prepare(&self.engine, &self.changes, &plan.lab, &image).await
        };
        let (hosts, prepared) = tokio::join!(self.build_hosts(plan, progress, tell_image), prepare);
        hosts?;
        let closing = wire::close(&self.engine, plan, prepared);
        let (filled, open) = tokio::join!(copies::fill(&self.engine, plan), closing);
        for warning in open {
            progress(warning.into());
        }
        filled
    }

    /// Builds the segments and the hosts on them. Tells the image as soon as the engine has it.
    async fn build_hosts(
        &self,
        plan: &Plan,
        progress: Progress<'_>,
        tell_image: oneshot::Sender<String>,
    ) -> Result<()> {
        let networks = try_join_all((0..plan.segments.len()).map(|n| self.make_network(plan, n)));
        let volumes = copies::make(&self.engine, &self.changes, plan);
        let image = async {
            let image = self.ensure_image(progress).await?;
            // Whoever wanted to know may have failed already.
            let _ = tell_image.send(image.tag.clone());
            Ok(image)
        };
        let (_, (), image) = tokio::try_join!(networks, volumes, image)?;
        let count = std::sync::atomic::AtomicU64::new(0);
        let tell = |more| {
            let done = count.fetch_add(more, std::sync::atomic::Ordering::Relaxed) + more;
            let total = Some(plan.hosts.len() as u64);
            progress(Step { what: "starting the hosts".into(), done, total, ..Step::default() });
        };
        tell(0);
        let hosts = plan.hosts.iter().map(|host| async {
            self.make_host(plan, host, &image.tag).await?;
            tell(1);
            Ok(())
        });
        try_join_all(hosts).await.map(drop)
    }

    /// The lab of that name, which must be there.
    async fn known(&self, lab: &str) -> Result<LabState> {
        let state = self.lab(lab).await?;
        state.ok_or_else(|| Error::lab(format!("lab {lab} is not up")).hint("`netlab up` builds it"))
    }

    /// Runs a command in the lab's observer, on a host's network: hosts themselves may not be allowed to change
    /// it.
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

    /// Makes an observer where the lab has none of this netlab's, as after an upgrade.
    async fn start_observer(&self, lab: &str, image: &Image) -> Result<()> {
        image.ensure(&self.engine, &|_| ()).await?;
        observer::start(&self.engine, &self.changes, lab, &image.tag).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.engine.remove_container(id, Some(options)).await;
        removed.or_missing(|| format!("cannot remove the container {id}")).map(drop)
    }

    /// Removes what there is of a lab. Says whether there was anything.
    async fn clear(&self, lab: &str) -> Result<bool> {
        let (containers, networks) = tokio::try_join!(self.containers(Some(lab)), self.networks(Some(lab)))?;
        let ids = containers.iter().filter_map(|c| c.id.as_deref());
        let mut results = join_all(ids.map(|id| self.remove_container(id))).await;
        let ids = networks.iter().filter_map(|n| n.id.as_deref());
        results.extend(
            join_all(ids.map(|id| async move {
                let removed = self.engine.remove_network(id).await;
                removed.or_missing(|| format!("cannot remove the network {id}")).map(drop)
            }))
            .await,
        );
        results.extend(copies::remove(&self.engine, lab).await);
        let mut failures = results.into_iter().filter_map(Result::err).peekable();
        if failures.peek().is_some() {
            let all: Vec<_> = failures.map(|e| e.with_causes()).collect();
            return Err(Error::lab(format!("lab {lab} is down, but for {}", all.join("; "))));
        }
        Ok(!containers.is_empty() || !networks.is_empty())
    }

    async fn make_network(&self, plan: &Plan, n: usize) -> Result<()> {
        let segment = &plan.segments[n];
        let what = || format!("cannot make the segment {} with {}", segment.name, segment.subnet);
        let (engine, network) = (self.engine.clone(), bodies::network(plan, n));
        let made = async move { engine.create_network(network).await };
        match self.changes.ask(&plan.lab, made).await? {
            Err(DockerResponseServerError { message, .. }) if message.contains("overlaps") => {
                Err(Error::subnet_taken(what())
                    .caused_by(message)
                    .hint("`docker network ls` shows who has it"))
            }
            made => made.or_engine(what).map(drop),
        }
    }

    async fn make_host(&self, plan: &Plan, host: &HostPlan, image: &str) -> Result<()> {
        let name = names::host(&plan.lab, &host.name);
        let what = || format!("cannot start host {}", host.name);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let (engine, body) = (self.engine.clone(), bodies::host(plan, host, image));
        let made = async move { engine.create_container(Some(options), body).await };
        self.changes.ask(&plan.lab, made).await?.or_engine(what)?;
        self.engine.start_container(&name, None::<StartContainerOptions>).await.or_engine(what)?;
        // One after the other, and while it runs: so they are eth1, eth2, … in the plan's order.
        for link in &host.links[1..] {
            let network = names::segment(&plan.lab, &link.segment);
            let connected = self.engine.connect_network(&network, bodies::attachment(plan, host, link)).await;
            connected.or_engine(|| format!("cannot attach {} to {}", host.name, link.segment))?;
        }
        Ok(())
    }
}

fn no_host(lab: &str, host: &str) -> Error {
    Error::lab(format!("lab {lab} has no host {host}"))
}

fn label<'l>(labels: Option<&'l HashMap<String, String>>, name: &str) -> Option<&'l str> {
    labels?.get(name).map(String::as_str)
}

/// How each host of a plan does, given the containers of any labs.
fn host_states(plan: &Plan, containers: &[ContainerSummary]) -> Vec<HostState> {
    let state = |host: &HostPlan| {
        let own = containers.iter().find(|c| {
            let label = |name| label(c.labels.as_ref(), name);
            label(names::LAB) == Some(&plan.lab) && label(names::HOST) == Some(&host.name)
        });
        let Some(own) = own else { return HostState::Missing };
        let networks =
            own.network_settings.as_ref().and_then(|s| s.networks.as_ref()).map_or(0, HashMap::len);
        match own.state {
            // Whoever was to attach it to its other segments did not get that far.
            Some(ContainerSummaryStateEnum::RUNNING) if networks < host.links.len() => HostState::Missing,
            Some(ContainerSummaryStateEnum::RUNNING) => HostState::Running,
            _ => HostState::Stopped,
        }
    };
    plan.hosts.iter().map(state).collect()
}

#[async_trait]
impl Runtime for Docker {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    /// Those of every network of the engine, whoever made it.
    async fn taken_subnets(&self) -> Result<Vec<Ipv4Net>> {
        let all = self.engine.list_networks(None::<bollard::query_parameters::ListNetworksOptions>).await;
        let all = all.or_engine(|| "cannot list the engine's networks")?;
        let configs = all.into_iter().filter_map(|n| n.ipam?.config).flatten();
        Ok(configs.filter_map(|c| c.subnet?.parse().ok()).collect())
    }

    async fn up(&self, plan: &Plan, progress: Progress<'_>) -> Result<()> {
        self.down(&plan.lab).await?;
        let built = self.build(plan, progress).await;
        if built.is_err() {
            // The first failure says more than what clearing up after it may add.
            let _ = self.down(&plan.lab).await;
        }
        built
    }

    async fn down(&self, lab: &str) -> Result<bool> {
        self.changes.settled(lab).await;
        // What the engine still makes for a netlab that was ended by force comes after what was found, or
        // holds on to it: so all is looked for again, unless there was nothing.
        let found = self.clear(lab).await.unwrap_or(true);
        if found {
            self.clear(lab).await?;
        }
        Ok(found)
    }

    async fn labs(&self) -> Result<Vec<LabState>> {
        self.states(None).await
    }

    async fn lab(&self, lab: &str) -> Result<Option<LabState>> {
        Ok(self.states(Some(lab)).await?.pop())
    }

    async fn stop_host(&self, lab: &str, host: &str) -> Result<()> {
        let state = self.known(lab).await?;
        let Some(plan) = state.plan.host(host) else { return Err(no_host(lab, host)) };
        if !state.is_running(host) {
            return Ok(());
        }
        power::cut(&self.engine, lab, plan).await
    }

    /// In a new container, as a machine without a disk: an old one would be given its links back in any
    /// order.
    async fn start_host(&self, lab: &str, host: &str) -> Result<WatchedHost> {
        let state = self.known(lab).await?;
        let Some(plan) = state.plan.host(host) else { return Err(no_host(lab, host)) };
        if !state.is_running(host) {
            self.remove_container(&names::host(lab, host)).await?;
            // netlab may be another one than when the lab was built.
            let image = self.ensure_image(&|_| ()).await?.tag;
            let started = self.make_host(&state.plan, plan, &image);
            let prepare = wire::prepare(&self.engine, &self.changes, lab, &image);
            let (started, prepared) = tokio::join!(started, prepare);
            started?;
            // If it cannot be locked, then neither could it be when the lab came up, which has said so.
            wire::lock(&self.engine, &state.plan, plan, prepared).await;
        }
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
        // Whether there is such a host shows only now.
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

//! The parts of labs on an engine: found by their labels alone, listed and removed.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bollard::{
    Docker as Engine,
    models::{ContainerSummary, ContainerSummaryStateEnum, Network, Volume},
    query_parameters::{
        ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
        RemoveContainerOptionsBuilder, RemoveVolumeOptions,
    },
};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    names,
    turn::{self, Turn},
};
use crate::{
    Error, Result,
    runtime::{HostState, LabState, Owner, docker::errors::EngineContext},
    topology::{HostPlan, Plan},
};

/// How long the engine may take to finish creating what a killed netlab requested, and to release what is to
/// be removed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Polling interval for either.
const LOOK: Duration = Duration::from_millis(20);

/// The parts of one lab, or of all labs.
pub struct Parts {
    containers: Vec<ContainerSummary>,
    networks: Vec<Network>,
}

impl Parts {
    /// Lists the parts that the engine has.
    pub async fn of(engine: &Engine, lab: Option<&str>) -> Result<Self> {
        let containers =
            ListContainersOptionsBuilder::default().all(true).filters(&names::filter(lab)).build();
        let networks = ListNetworksOptionsBuilder::default().filters(&names::filter(lab)).build();
        let containers = async {
            engine.list_containers(Some(containers)).await.or_engine(|| "cannot list the labs' containers")
        };
        let networks = async {
            engine.list_networks(Some(networks)).await.or_engine(|| "cannot list the labs' networks")
        };
        let (containers, networks) = tokio::try_join!(containers, networks)?;
        Ok(Self { containers, networks })
    }

    /// Returns the labs that these are parts of, and the state of each. A lab without any network yet is not
    /// included.
    pub fn labs(&self) -> Result<Vec<LabState>> {
        let plans = self.networks.iter().filter_map(|n| label(n.labels.as_ref(), names::PLAN));
        // A plan of another version of netlab may not parse: `down` clears the lab all the same.
        let plans = plans.filter_map(|plan| serde_json::from_str::<Plan>(plan).ok());
        let lab = |plan: Plan| {
            Ok(LabState {
                hosts: plan.hosts.iter().map(|host| self.host_state(&plan, host)).collect(),
                half_way: turn::is_half_way(&plan.lab)?,
                owner: self.owner(&plan.lab),
                plan,
            })
        };
        plans.map(lab).collect()
    }

    /// Returns the lab's owner, if its parts name one.
    pub fn owner(&self, lab: &str) -> Option<Owner> {
        let mut own = self.labels().filter(|labels| label(*labels, names::LAB) == Some(lab));
        own.find_map(owner)
    }

    /// Returns the names of the user's own labs, from these parts and the volumes, and of labs that name no
    /// owner.
    pub fn labs_of_mine(&self, volumes: &[Volume]) -> BTreeSet<String> {
        let all = self.labels().chain(volumes.iter().map(|volume| Some(&volume.labels)));
        let mine = all.filter(|labels| owner(*labels).is_none_or(|owner| owner.is_me()));
        mine.filter_map(|labels| label(labels, names::LAB).map(str::to_owned)).collect()
    }

    fn labels(&self) -> impl Iterator<Item = Option<&HashMap<String, String>>> {
        let networks = self.networks.iter().map(|n| n.labels.as_ref());
        networks.chain(self.containers.iter().map(|c| c.labels.as_ref()))
    }

    fn host_state(&self, plan: &Plan, host: &HostPlan) -> HostState {
        let own = self.containers.iter().find(|c| {
            let label = |name| label(c.labels.as_ref(), name);
            label(names::LAB) == Some(&plan.lab) && label(names::HOST) == Some(&host.name)
        });
        let Some(own) = own else { return HostState::Missing };
        let attached =
            own.network_settings.as_ref().and_then(|s| s.networks.as_ref()).map_or(0, HashMap::len);
        let is_there = |segment: &str| {
            let name = names::segment(&plan.lab, segment);
            self.networks.iter().any(|network| network.name.as_deref() == Some(&name))
        };
        let has_links = attached >= host.links.len() && host.links.iter().all(|link| is_there(&link.segment));
        match own.state {
            // The netlab that built it was killed before it attached the other segments, or somebody has
            // detached one.
            Some(ContainerSummaryStateEnum::RUNNING) if !has_links => HostState::Missing,
            Some(ContainerSummaryStateEnum::RUNNING) => HostState::Running,
            _ => HostState::Stopped,
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        // The engine puts a slash before a container's name.
        let containers = self.containers.iter().flat_map(|c| c.names.iter().flatten());
        let containers = containers.map(|name| name.trim_start_matches('/'));
        containers.chain(self.networks.iter().filter_map(|n| n.name.as_deref()))
    }

    async fn remove(&self, engine: &Engine) -> Vec<Result<()>> {
        let ids = self.containers.iter().filter_map(|c| c.id.as_deref());
        let mut results = join_all(ids.map(|id| remove_container(engine, id))).await;
        let ids = self.networks.iter().filter_map(|n| n.id.as_deref());
        let networks = ids.map(|id| async move {
            let removed = engine.remove_network(id).await;
            removed.or_missing(|| format!("cannot remove the network {id}")).map(drop)
        });
        results.extend(join_all(networks).await);
        results
    }
}

/// Removes a container, running or not.
pub async fn remove_container(engine: &Engine, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let removed = engine.remove_container(id, Some(options)).await;
    removed.or_missing(|| format!("cannot remove the container {id}")).map(drop)
}

/// Removes all parts of a lab, including those that the engine is still creating for a netlab that was
/// killed. Returns whether there were any.
pub async fn clear(engine: &Engine, lab: &str, turn: &Turn) -> Result<bool> {
    turn.settled().await;
    let deadline = Instant::now() + PATIENCE;
    let mut to_come = turn.may_still_come().to_vec();
    let mut found = false;
    loop {
        let (parts, volumes) = tokio::try_join!(Parts::of(engine, Some(lab)), volumes(engine, Some(lab)))?;
        to_come
            .retain(|name| parts.names().chain(volumes.iter().map(|v| v.name.as_str())).all(|n| n != name));
        let is_over = Instant::now() > deadline;
        let is_empty = parts.containers.is_empty() && parts.networks.is_empty() && volumes.is_empty();
        if is_empty && (to_come.is_empty() || is_over) {
            return Ok(found);
        }
        found |= !is_empty;
        let mut results = parts.remove(engine).await;
        // Existing containers keep volumes in use.
        results.extend(join_all(volumes.iter().map(|volume| remove_volume(engine, &volume.name))).await);
        let failures: Vec<_> = results.into_iter().filter_map(Result::err).map(|e| e.with_causes()).collect();
        if is_over && !is_empty {
            return Err(Error::lab(format!("lab {lab} is down, except for {}", failures.join("; "))));
        }
        if is_empty || !failures.is_empty() {
            sleep(LOOK).await;
        }
    }
}

/// Returns the volumes of one lab, or of all labs.
pub async fn volumes(engine: &Engine, lab: Option<&str>) -> Result<Vec<Volume>> {
    let options = ListVolumesOptionsBuilder::default().filters(&names::filter(lab)).build();
    let found = engine.list_volumes(Some(options)).await.or_engine(|| "cannot list the labs' volumes")?;
    Ok(found.volumes.unwrap_or_default())
}

async fn remove_volume(engine: &Engine, name: &str) -> Result<()> {
    let removed = engine.remove_volume(name, None::<RemoveVolumeOptions>).await;
    removed.or_missing(|| format!("cannot remove the volume {name}")).map(drop)
}

fn owner(labels: Option<&HashMap<String, String>>) -> Option<Owner> {
    Owner::from_label(label(labels, names::OWNER)?)
}

fn label<'l>(labels: Option<&'l HashMap<String, String>>, name: &str) -> Option<&'l str> {
    labels?.get(name).map(String::as_str)
}

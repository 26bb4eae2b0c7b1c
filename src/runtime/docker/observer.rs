//! The observer of a lab on Docker: a container beside the hosts', created with them. Each observation runs
//! `netlab observe` in it.

use bollard::{
    Docker as Engine,
    errors::Error::DockerResponseServerError,
    models::ExecConfig,
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, StartContainerOptions,
    },
};
use futures_util::future::try_join_all;

use super::{exec, names, turn::Turn};
use crate::{
    Error, Result,
    capture::Interface,
    programs::{FOLDER, NETLAB},
    runtime::{
        HostState, LabState, Process, Watch, WatchedHost,
        docker::{errors::EngineContext, requests},
    },
};

/// Returns what to watch, with the pids and interface names of the engine's machine.
pub async fn watch(engine: &Engine, lab: &LabState) -> Result<Watch> {
    let running = lab.plan.hosts.iter().zip(&lab.hosts).filter(|(_, state)| **state == HostState::Running);
    let hosts = try_join_all(running.map(|(host, _)| watched_host(engine, &lab.plan.lab, &host.name)));
    let segments = lab.plan.segments.iter().map(|s| watched_segment(engine, &lab.plan.lab, &s.name));
    let (hosts, segments) = tokio::try_join!(hosts, try_join_all(segments))?;
    Ok(Watch { hosts, segments })
}

/// Returns a running host, with its pid on the engine's machine.
pub async fn watched_host(engine: &Engine, lab: &str, host: &str) -> Result<WatchedHost> {
    let container = engine.inspect_container(&names::host(lab, host), None::<InspectContainerOptions>).await;
    let container = container.or_engine(|| format!("cannot inspect host {host}"))?;
    let init = container.state.and_then(|state| state.pid).and_then(|pid| i32::try_from(pid).ok());
    let init =
        init.filter(|pid| *pid > 0).ok_or_else(|| Error::lab(format!("host {host} is not running")))?;
    Ok(WatchedHost { name: host.into(), init })
}

/// Returns a segment's bridge, as the engine's machine names it.
pub async fn watched_segment(engine: &Engine, lab: &str, segment: &str) -> Result<Interface> {
    let network = engine.inspect_network(&names::segment(lab, segment), None::<InspectNetworkOptions>).await;
    let network = network.or_engine(|| format!("cannot inspect segment {segment}"))?;
    // The engine's default name for a bridge.
    let id = network.id.unwrap_or_default();
    let device = format!("br-{}", id.get(..12).unwrap_or(&id));
    Ok(Interface { name: segment.into(), device })
}

/// Runs `netlab observe` in the lab's observer, which must be running.
pub async fn look(engine: &Engine, lab: &str, image: &str) -> Result<Process> {
    run(engine, lab, image, vec!["observe".into()]).await
}

/// Runs `netlab` with these arguments in the lab's observer.
pub async fn run(engine: &Engine, lab: &str, image: &str, arguments: Vec<String>) -> Result<Process> {
    let command = [vec![format!("{FOLDER}/{NETLAB}")], arguments].concat();
    let config = ExecConfig { cmd: Some(command), ..ExecConfig::default() };
    exec::run(engine, &names::observer(lab, image), config).await
}

/// Starts the lab's observer.
pub async fn start(engine: &Engine, turn: &Turn, lab: &str, image: &str) -> Result<()> {
    let name = names::observer(lab, image);
    let what = || "cannot start the lab's observer";
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let (asked, body) = (engine.clone(), requests::observer(lab, image));
    let made = async move { asked.create_container(Some(options), body).await };
    match turn.ask(&name, made).await? {
        // Another netlab is starting it at the same moment, or it exists and was stopped.
        Err(DockerResponseServerError { status_code: 409, .. }) => {}
        made => made.or_engine(what).map(drop)?,
    }
    engine.start_container(&name, None::<StartContainerOptions>).await.or_engine(what)
}

//! Cuts a host's power.

use bollard::{
    Docker as Engine,
    errors::Error::DockerContainerWaitError,
    models::NetworkDisconnectRequest,
    query_parameters::{KillContainerOptionsBuilder, WaitContainerOptions},
};
use futures_util::StreamExt;

use super::names;
use crate::{Result, runtime::docker::errors::EngineContext, topology::HostPlan};

/// Disconnects a host's links, then kills it and waits until it is gone. In this order nothing that its
/// kernel sends for its dying processes, neither FIN nor RST, reaches the wire.
pub async fn cut(engine: &Engine, lab: &str, host: &HostPlan) -> Result<()> {
    let container = names::host(lab, &host.name);
    for link in &host.links {
        let request = NetworkDisconnectRequest { container: container.clone(), force: None };
        let pulled = engine.disconnect_network(&names::segment(lab, &link.segment), request).await;
        pulled.or_engine(|| format!("cannot detach {} from {}", host.name, link.segment))?;
    }
    let what = || format!("cannot stop host {}", host.name);
    let options = KillContainerOptionsBuilder::default().signal("KILL").build();
    engine.kill_container(&container, Some(options)).await.or_engine(what)?;
    match engine.wait_container(&container, None::<WaitContainerOptions>).next().await {
        // The exit code of a killed process.
        None | Some(Ok(_) | Err(DockerContainerWaitError { .. })) => Ok(()),
        Some(Err(refusal)) => Err(refusal).or_engine(what),
    }
}

//! Checks the Docker engine and the image of the hosts.

use std::sync::Mutex;

use super::{
    Finding, State,
    runtimes::{lab, wire},
};
use crate::{
    Result,
    runtime::{self, Runtime, RuntimeKind, docker::Docker},
    topology,
};

/// Checks whether an engine answers and has the image, and tries a lab on it.
pub async fn docker() -> Vec<Finding> {
    let why = "labs in containers, with the same programs and compiler everywhere";
    let docker = match Docker::connect().await {
        Err(error) => return vec![Finding::failed("docker", why, &error, "use namespaces")],
        Ok(docker) => docker,
    };
    let found = format!("engine {} answers", docker.version());
    let mut findings = vec![Finding::ok("docker", why, found), image(&docker).await];
    // Without the image a trial would build it first, which takes minutes.
    if findings.iter().all(|finding| finding.state == State::Ok) {
        findings.push(trial(&docker).await);
    }
    findings
}

/// Builds the default lab and takes it down again. Returns a finding about its wire.
async fn trial(docker: &Docker) -> Finding {
    let said = Mutex::new(Vec::new());
    let note = |step: runtime::Step| said.lock().map_or((), |mut said| said.push(step));
    let up = match topology::load(None) {
        Ok(topology) => runtime::build(docker, &topology, &lab(), &note).await.map(drop),
        Err(error) => Err(error),
    };
    let down = docker.down(&lab()).await;
    match up.and(down) {
        Ok(_) => wire(RuntimeKind::Docker, &said.into_inner().unwrap_or_default()),
        Err(error) => Finding::failed("wire", "a lab on docker", &error, "use namespaces"),
    }
}

/// Takes the trial down, if there is one.
pub async fn clear() -> Result<()> {
    match Docker::connect().await {
        Ok(docker) => docker.down(&lab()).await.map(drop),
        Err(_) => Ok(()),
    }
}

async fn image(docker: &Docker) -> Finding {
    let finding = |detail| Finding::ok("image", "hosts on Docker, which are containers of it", detail);
    let build = "netlab up --runtime docker builds it, in a minute or two";
    match docker.has_image().await {
        Ok((tag, true)) => finding(format!("{tag} is built")),
        Ok((tag, false)) => finding(format!("{tag} is not built yet")).bad(State::Warn, build),
        Err(error) => {
            let fix = error.hint.clone().unwrap_or_else(|| build.to_owned());
            finding(error.with_causes()).bad(State::Warn, fix)
        }
    }
}

//! Selects the runtime: the one that already has the lab, the one the user names, or the best available.

use super::{LabState, Runtime, RuntimeKind, docker::Docker, namespaces::Namespaces};
use crate::{Error, Result, suggest::nearest};

/// A runtime, and the reason for choosing it, in one line.
pub struct Choice {
    /// The runtime.
    pub runtime: Box<dyn Runtime>,
    /// The reason, e.g. `docker (engine 20.10.24 answers)`.
    pub why: String,
}

/// Chooses the runtime for a new lab: the one named, else Docker if an engine answers, else namespaces.
pub async fn choose(named: Option<RuntimeKind>) -> Result<Choice> {
    if let Some(kind) = named {
        return Ok(Choice { runtime: open(kind).await?, why: format!("{kind}, by request") });
    }
    Ok(match Docker::connect().await {
        Ok(docker) => {
            let why = format!("docker (engine {} answers)", docker.version());
            Choice { runtime: Box::new(docker), why }
        }
        Err(error) => Choice { runtime: Box::new(Namespaces::new()), why: format!("namespaces ({error})") },
    })
}

/// Finds the runtime that has this lab, and the lab; `None` if no runtime has it.
pub async fn find(lab: &str, named: Option<RuntimeKind>) -> Result<Option<(Box<dyn Runtime>, LabState)>> {
    for kind in named.map_or(vec![RuntimeKind::Namespaces, RuntimeKind::Docker], |kind| vec![kind]) {
        let runtime = match open(kind).await {
            // An engine that does not answer has no lab, unless the user named it.
            Err(_) if named.is_none() => continue,
            opened => opened?,
        };
        if let Some(state) = runtime.lab(lab).await? {
            return Ok(Some((runtime, state)));
        }
    }
    Ok(None)
}

/// Like [`find`], but a missing lab is an error that names the existing labs.
pub async fn expect(lab: &str, named: Option<RuntimeKind>) -> Result<(Box<dyn Runtime>, LabState)> {
    if let Some(found) = find(lab, named).await? {
        return Ok(found);
    }
    let mut others = Vec::new();
    for runtime in reachable(named).await? {
        others.extend(runtime.labs().await?.into_iter().map(|l| l.plan.lab));
    }
    let error = Error::lab(format!("no lab named \"{lab}\" is up"));
    Err(match nearest(lab, others.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean --lab {near}?")),
        None if others.is_empty() => error.hint("`netlab up` starts one"),
        None => error.hint(format!("there are: {}; name one with --lab", others.join(", "))),
    })
}

/// Returns every runtime that can be reached, the fastest first. An engine that does not answer is an error
/// only if the user named it.
pub async fn reachable(named: Option<RuntimeKind>) -> Result<Vec<Box<dyn Runtime>>> {
    if let Some(kind) = named {
        return Ok(vec![open(kind).await?]);
    }
    let mut all: Vec<Box<dyn Runtime>> = vec![Box::new(Namespaces::new())];
    if let Ok(docker) = Docker::connect().await {
        all.push(Box::new(docker));
    }
    Ok(all)
}

async fn open(kind: RuntimeKind) -> Result<Box<dyn Runtime>> {
    Ok(match kind {
        RuntimeKind::Docker => Box::new(Docker::connect().await?),
        RuntimeKind::Namespaces => Box::new(Namespaces::new()),
    })
}

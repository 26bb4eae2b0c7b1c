//! Which runtime: the one that already has the lab, the one the user names, or the best there is.

use super::{LabState, Runtime, RuntimeKind, docker::Docker, namespaces::Namespaces};
use crate::{Error, Result, suggest::nearest};

/// A runtime, and why it is that one, in one line.
pub struct Choice {
    /// The runtime.
    pub runtime: Box<dyn Runtime>,
    /// As `docker (engine 20.10.24 answers)`.
    pub why: String,
}

/// The runtime for a new lab: the one named, else Docker where an engine answers, else namespaces.
pub async fn choose(named: Option<RuntimeKind>) -> Result<Choice> {
    if let Some(kind) = named {
        return Ok(Choice { runtime: open(kind).await?, why: format!("{kind}, as asked") });
    }
    Ok(match Docker::connect().await {
        Ok(docker) => {
            let why = format!("docker (engine {} answers)", docker.version());
            Choice { runtime: Box::new(docker), why }
        }
        Err(error) => Choice { runtime: Box::new(Namespaces::new()), why: format!("namespaces ({error})") },
    })
}

/// The runtime that has this lab, and the lab. `Ok(None)` where none has.
pub async fn find(lab: &str, named: Option<RuntimeKind>) -> Result<Option<(Box<dyn Runtime>, LabState)>> {
    for kind in named.map_or(vec![RuntimeKind::Namespaces, RuntimeKind::Docker], |kind| vec![kind]) {
        let runtime = match open(kind).await {
            // An engine that does not answer has no lab, unless it was named.
            Err(_) if named.is_none() => continue,
            opened => opened?,
        };
        if let Some(state) = runtime.lab(lab).await? {
            return Ok(Some((runtime, state)));
        }
    }
    Ok(None)
}

/// As [`find`], but not to have it is an error that names the labs there are.
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

/// Every runtime that can be asked; the quick one first. No engine that answers is no error, unless it
/// was asked for by name.
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

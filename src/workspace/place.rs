//! Finds the assignment's sources on a host.

use std::path::Path;

use tokio::io::AsyncWriteExt;

use super::{ON_HOSTS, mounted, sources};
use crate::{
    Error, Result,
    error::Context,
    kernel::ExitStatus,
    runtime::{Command, LabState, Process, Runtime},
};

/// Their folder on a host that sees no workspace.
const BORROWED: &str = "/tmp/lab";

/// Returns the folder with the sources on the host: the workspace, or else a copy of the starter's, created now.
pub async fn on_host(runtime: &dyn Runtime, lab: &LabState, host: &str) -> Result<&'static str> {
    let has_sources = |folder: &Path| folder.join("Makefile").is_file();
    if mounted(&lab.plan, host).is_some_and(has_sources) {
        return Ok(ON_HOSTS);
    }
    for (name, text) in sources() {
        write(runtime, lab, host, name, text).await?;
    }
    Ok(BORROWED)
}

async fn write(runtime: &dyn Runtime, lab: &LabState, host: &str, name: &str, text: &str) -> Result<()> {
    let what = || format!("cannot write {BORROWED}/{name} on {host}");
    let script = format!("mkdir -p {BORROWED} && cat > {BORROWED}/{name}");
    let command = Command::new(["sh", "-c", &script]);
    let Process { mut stdin, mut handle, .. } = runtime.exec(&lab.plan.lab, host, &command).await?;
    stdin.write_all(text.as_bytes()).await.or_lab(what)?;
    stdin.shutdown().await.or_lab(what)?;
    drop(stdin);
    match handle.wait().await? {
        ExitStatus::Exited(0) => Ok(()),
        status => Err(Error::lab(format!("{}: {status}", what()))),
    }
}

//! The base of the hosts' image: Debian, pulled, or built from Debian's packages if it cannot be pulled.

use std::process::Stdio;

use bollard::{
    Docker, body_try_stream,
    models::CreateImageInfo,
    query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions},
};
use futures_util::{Stream, StreamExt};
use tokio::{io::AsyncReadExt, process::Command};
use tokio_util::io::ReaderStream;

use crate::{
    Error, Result,
    error::Context,
    runtime::{Progress, Step, docker::errors::EngineContext},
};

/// The base image that the Dockerfile names.
const PULLED: &str = "debian:bookworm-slim";
/// The name of a base that netlab built itself.
const MADE: &str = "netlab/base:bookworm";
/// The Debian release.
const RELEASE: &str = "bookworm";

/// Makes sure that the engine has a base image and returns its name.
pub async fn ensure(engine: &Docker, progress: Progress<'_>) -> Result<String> {
    for name in [PULLED, MADE] {
        let image = engine.inspect_image(name).await;
        if image.or_missing(|| format!("cannot look for the image {name}"))?.is_some() {
            return Ok(name.into());
        }
    }
    let Err(why) = pull(engine, progress).await else { return Ok(PULLED.into()) };
    progress(Step {
        what: format!("{PULLED} cannot be pulled: building it from Debian's packages"),
        lasting: true,
        ..Step::default()
    });
    make(engine, progress).await.map_err(|error| {
        let cause = std::error::Error::source(&why).map(ToString::to_string).unwrap_or_default();
        let hint = error.hint.clone().unwrap_or_default();
        error.hint(format!(
            "{hint}{}{PULLED} cannot be pulled either: {cause}",
            if hint.is_empty() { "" } else { "; " }
        ))
    })?;
    Ok(MADE.into())
}

async fn pull(engine: &Docker, progress: Progress<'_>) -> Result<()> {
    let (image, tag) = PULLED.split_once(':').unwrap_or((PULLED, "latest"));
    let options = CreateImageOptionsBuilder::default().from_image(image).tag(tag).build();
    follow(engine.create_image(Some(options), None, None), PULLED, progress).await
}

/// Builds the base with mmdebstrap, which needs only Debian's packages, and not root.
async fn make(engine: &Docker, progress: Progress<'_>) -> Result<()> {
    let mut maker = Command::new("mmdebstrap")
        .args(["--variant=minbase", RELEASE, "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .or_lab(|| "cannot run mmdebstrap")
        .map_err(|e| e.hint("`apt-get install mmdebstrap`, or use --runtime namespaces"))?;
    let (Some(stdout), Some(mut stderr)) = (maker.stdout.take(), maker.stderr.take()) else {
        return Err(Error::lab("mmdebstrap's output is not available"));
    };
    let said = tokio::spawn(async move {
        let mut said = String::new();
        stderr.read_to_string(&mut said).await.map(|_| said)
    });
    let (name, tag) = MADE.split_once(':').unwrap_or((MADE, "latest"));
    let options = CreateImageOptionsBuilder::default().from_src("-").repo(name).tag(tag).build();
    let body = body_try_stream(ReaderStream::new(stdout));
    let imported = follow(engine.create_image(Some(options), Some(body), None), MADE, progress).await;
    let status = maker.wait().await.or_lab(|| "cannot wait for mmdebstrap")?;
    if status.success() {
        return imported;
    }
    // An image imported from an incomplete archive is unusable.
    let _ = engine.remove_image(MADE, None::<RemoveImageOptions>, None).await;
    let said = said.await.ok().and_then(Result::ok).unwrap_or_default();
    let last: Vec<_> = said.lines().filter(|l| l.starts_with("E:")).collect();
    Err(Error::lab(format!("mmdebstrap failed: {}", last.join("; ")))
        .hint("it needs Debian's packages over the network; or use --runtime namespaces"))
}

/// Follows the engine's progress on an image until it is complete.
async fn follow(
    lines: impl Stream<Item = std::result::Result<CreateImageInfo, bollard::errors::Error>>,
    name: &str,
    progress: Progress<'_>,
) -> Result<()> {
    let mut lines = std::pin::pin!(lines);
    while let Some(line) = lines.next().await {
        let info = line.or_engine(|| format!("cannot get {name}"))?;
        let detail = info.progress_detail.unwrap_or_default();
        let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        progress(Step {
            what: format!("getting {name}: {}", info.status.unwrap_or_default()),
            done: number(detail.current).unwrap_or_default(),
            total: number(detail.total),
            ..Step::default()
        });
    }
    Ok(())
}

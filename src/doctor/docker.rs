//! The Docker engine, and the hosts' image on it.

use super::{Finding, State};
use crate::runtime::docker::Docker;

/// Whether an engine answers, and whether it has the image.
pub async fn docker() -> Vec<Finding> {
    let why = "labs in containers, whose programs and compiler are the same everywhere";
    match Docker::connect().await {
        Err(error) => vec![Finding::failed("docker", why, &error, "use namespaces")],
        Ok(docker) => {
            let found = format!("engine {} answers", docker.version());
            vec![Finding::ok("docker", why, found), image(&docker).await]
        }
    }
}

async fn image(docker: &Docker) -> Finding {
    let finding = |detail| Finding::ok("image", "hosts are containers of it", detail);
    let build = "netlab up --runtime docker builds it, in a minute or two";
    match docker.has_image().await {
        Ok((tag, true)) => finding(format!("{tag} is built")),
        Ok((tag, false)) => finding(format!("{tag} is not built yet")).bad(State::Warn, build),
        Err(error) => {
            let mend = error.hint.clone().unwrap_or_else(|| build.to_owned());
            finding(error.with_causes()).bad(State::Warn, mend)
        }
    }
}

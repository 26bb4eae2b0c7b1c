//! Finds the engine the way the Docker CLI does: `DOCKER_HOST`, else the current context, else this machine's
//! socket.

use std::{env, path::PathBuf, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker};
use serde::Deserialize;

use crate::{Error, Result, digest::sha256, error::Context, own, runtime::docker::errors::EngineContext};

/// The default socket of an engine on this machine.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// Maximum size in bytes of a Docker CLI file.
const MOST: u64 = 1 << 20;
/// Timeout of one request, in seconds.
const PATIENCE: u64 = 120;
/// Timeout for the engine's first answer.
const GREETING: Duration = Duration::from_secs(15);

/// Connects to the engine and returns it with its version.
pub async fn connect() -> Result<(Docker, String)> {
    let host = host()?;
    let engine = open(&host).map_err(advise)?;
    let greeting = async {
        let engine = engine.negotiate_version().await?;
        let version = engine.version().await?.version.unwrap_or_default();
        Ok::<_, bollard::errors::Error>((engine, version))
    };
    match tokio::time::timeout(GREETING, greeting).await {
        Ok(answer) => answer.or_engine(|| no_answer(&host)).map_err(advise),
        Err(_) => Err(advise(Error::lab(format!(
            "the docker engine at {host} did not answer within {} s",
            GREETING.as_secs()
        )))),
    }
}

fn advise(error: Error) -> Error {
    if error.hint.is_some() {
        return error;
    }
    let refused = std::error::Error::source(&error).is_some_and(|e| e.to_string().contains("ermission"));
    error.hint(if refused {
        "add yourself to group docker: `sudo usermod -aG docker $USER`, then log in again; or use --runtime namespaces"
    } else {
        "start it (`sudo systemctl start docker`), or use --runtime namespaces"
    })
}

fn no_answer(host: &str) -> String {
    format!("no docker engine answers at {host}")
}

fn open(host: &str) -> Result<Docker> {
    let engine = match host.split_once("://").map_or("", |(scheme, _)| scheme) {
        "unix" => Docker::connect_with_unix(host, PATIENCE, API_DEFAULT_VERSION),
        "tcp" | "http" if env::var_os("DOCKER_TLS_VERIFY").is_none_or(|v| v.is_empty()) => {
            Docker::connect_with_http(host, PATIENCE, API_DEFAULT_VERSION)
        }
        _ => {
            return Err(Error::lab(format!("cannot connect to a docker engine at {host}"))
                .hint("unix:// and tcp:// without TLS work; `ssh -L` brings a remote engine's socket here"));
        }
    };
    engine.or_engine(|| no_answer(host))
}

/// Returns the URL that the engine listens at.
fn host() -> Result<String> {
    let set = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
    if let Some(host) = set("DOCKER_HOST") {
        return Ok(host);
    }
    let folder = set("DOCKER_CONFIG").map(PathBuf::from);
    let Some(folder) = folder.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".docker"))) else {
        return Ok(SOCKET.into());
    };
    // A configuration that is missing or unreadable names no context.
    let config = own::read_anybodys(&folder.join("config.json"), MOST).unwrap_or_default();
    let config: Config = serde_json::from_slice(&config).unwrap_or_default();
    match set("DOCKER_CONTEXT").or(config.current_context).as_deref() {
        None | Some("" | "default") => Ok(SOCKET.into()),
        Some(context) => context_host(&folder, context),
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    current_context: Option<String>,
}

/// The Docker CLI's metadata of a context.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

fn context_host(folder: &std::path::Path, context: &str) -> Result<String> {
    let path = folder.join("contexts/meta").join(sha256(context)).join("meta.json");
    let what = || format!("cannot read the docker context \"{context}\" from {}", path.display());
    let meta = own::read_anybodys(&path, MOST).or_lab(what)?;
    Ok(serde_json::from_slice::<Meta>(&meta).or_lab(what)?.endpoints.docker.host)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_context_is_found_where_the_cli_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        // The CLI names the folder with the SHA-256 of `far`.
        let meta = folder.path().join("contexts/meta").join(sha256("far"));
        fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://198.18.0.9:2375"}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        assert_eq!(context_host(folder.path(), "far").unwrap(), "tcp://198.18.0.9:2375");
        let error = context_host(folder.path(), "near").unwrap_err();
        assert!(error.to_string().contains("\"near\""), "{error}");
    }

    #[test]
    fn schemes_that_cannot_be_spoken_are_refused_with_a_hint() {
        let error = open("ssh://somewhere").unwrap_err();
        assert!(error.hint.is_some_and(|h| h.contains("ssh -L")));
    }
}

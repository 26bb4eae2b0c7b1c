//! Closes the wire of a lab on Docker with `netlab wire`, run in the lab's observer, which is on the
//! machine's network.

use bollard::Docker as Engine;
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{observer, turn::Turn};
use crate::{
    Error, Result,
    error::Context,
    runtime::{
        Command, Process, Warning, WatchedHost,
        docker::requests,
        wire::{
            is_open,
            machine::{Host, Order, Outcome},
        },
    },
    topology::{HostPlan, Plan},
};

/// Starts the lab's observer if there is none, and in it the program that waits for the order to close the
/// wire. This takes about as long as starting a host, so the two can be done concurrently.
pub async fn prepare(engine: &Engine, turn: &Turn, lab: &str, image: &str) -> Result<Process> {
    observer::start(engine, turn, lab, image).await?;
    observer::run(engine, lab, image, vec!["wire".into()]).await
}

/// Returns the arguments for `netlab` to run a command on a host's network.
pub fn on_network(host: &WatchedHost, command: &Command) -> Vec<String> {
    let wire = ["wire".into(), "--of".into(), host.init.to_string(), "--".into()];
    [&wire[..], &command.argv].concat()
}

/// Isolates the lab's segments from the machine and locks the ports of all its hosts. Returns warnings about
/// whatever could not be done.
pub async fn close(engine: &Engine, plan: &Plan, prepared: Result<Process>) -> Vec<Warning> {
    let hosts = plan.hosts.iter().collect();
    let closing = async { ask(prepared?, order(engine, plan, hosts, true).await?).await };
    warnings(closing.await)
}

/// The same for one host that was restarted.
pub async fn lock(engine: &Engine, plan: &Plan, host: &HostPlan, prepared: Result<Process>) -> Vec<Warning> {
    let locking = async { ask(prepared?, order(engine, plan, vec![host], false).await?).await };
    warnings(locking.await)
}

fn warnings(outcome: Result<Outcome>) -> Vec<Warning> {
    let Outcome { open, lacking } =
        outcome.unwrap_or_else(|error| Outcome { open: vec![error.with_causes()], ..Outcome::default() });
    // One reason is enough; the others are mostly the same.
    open.into_iter().take(1).map(|why| is_open(&why)).chain(lacking).collect()
}

async fn order(engine: &Engine, plan: &Plan, hosts: Vec<&HostPlan>, bridges: bool) -> Result<Order> {
    let segments = try_join_all(
        plan.segments.iter().map(|segment| observer::watched_segment(engine, &plan.lab, &segment.name)),
    );
    let inits = try_join_all(hosts.iter().map(|host| observer::watched_host(engine, &plan.lab, &host.name)));
    let (segments, inits) = tokio::try_join!(segments, inits)?;
    let bridge =
        |name: &str| segments.iter().find(|s| s.name == name).map(|s| s.device.clone()).unwrap_or_default();
    let host = |(host, init): (&HostPlan, i32)| Host {
        plan: host.clone(),
        init,
        bridges: host.links.iter().map(|link| bridge(&link.segment)).collect(),
        ready: plan.untrusted.then(|| requests::network_arguments(host)),
    };
    Ok(Order {
        hosts: hosts.into_iter().zip(inits.iter().map(|watched| watched.init)).map(host).collect(),
        bridges: if bridges { segments.iter().map(|s| s.device.clone()).collect() } else { Vec::new() },
    })
}

/// Sends the order and returns its outcome.
async fn ask(process: Process, order: Order) -> Result<Outcome> {
    let what = || "cannot ask the lab's observer to close the wire";
    let Process { mut stdin, mut stdout, mut stderr, .. } = process;
    let order = serde_json::to_vec(&order).or_lab(what)?;
    let asking = async {
        stdin.write_all(&order).await?;
        stdin.shutdown().await
    };
    let (mut answer, mut complaint) = (Vec::new(), String::new());
    let hearing = stdout.read_to_end(&mut answer);
    let (asked, heard, _) = tokio::join!(asking, hearing, stderr.read_to_string(&mut complaint));
    asked.and(heard).or_lab(what)?;
    serde_json::from_slice(&answer).map_err(|_| Error::lab(what()).caused_by(complaint.trim().to_owned()))
}

//! A host's link: cut it, mend it, make it bad.
//!
//! It is done on the host with the commands that anyone would type there, so that a student can see,
//! repeat and undo it.

use std::time::Duration;

use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    Error, Result,
    kernel::ExitStatus,
    runtime::{Command, Process, Runtime},
    topology::HostPlan,
};

/// More than this of what a host's program says is not listened to, in bytes.
const MOST_SAID: u64 = 64 << 10;

/// How long the kernel may take to change a link.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to become of a link.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Up or down.
    pub up: Option<bool>,
    /// Percent of the host's packets that get lost.
    pub loss: Option<f64>,
    /// How late the host's packets leave, as tc spells it: `100ms`.
    pub delay: Option<String>,
    /// How fast they leave at most, as tc spells it: `1mbit`.
    pub rate: Option<String>,
    /// No more loss, delay or rate.
    pub clear: bool,
}

/// Changes every link of a host. Returns the commands that did it.
pub async fn change(
    runtime: &dyn Runtime,
    lab: &str,
    host: &HostPlan,
    change: &Change,
) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for n in 0..host.links.len() {
        for command in commands(&format!("eth{n}"), change) {
            run(runtime, lab, &host.name, &command).await?;
            done.push(command);
        }
    }
    if change.up == Some(true) {
        // Routes through a router go with the link.
        for route in &host.routes {
            let command = format!("ip route replace {} via {}", route.to, route.via);
            run(runtime, lab, &host.name, &command).await?;
            done.push(command);
        }
    }
    Ok(done)
}

fn commands(device: &str, change: &Change) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(up) = change.up {
        all.push(format!("ip link set dev {device} {}", if up { "up" } else { "down" }));
    }
    if change.clear {
        all.push(format!("tc qdisc replace dev {device} root pfifo_fast"));
    }
    let mut netem = String::new();
    if let Some(percent) = change.loss {
        netem += &format!(" loss {percent}%");
    }
    if let Some(delay) = &change.delay {
        netem += &format!(" delay {delay}");
    }
    match (&change.rate, netem.is_empty()) {
        (Some(rate), true) => {
            all.push(format!("tc qdisc replace dev {device} root tbf rate {rate} burst 16kb latency 400ms"));
        }
        (Some(rate), false) => {
            all.push(format!("tc qdisc replace dev {device} root netem{netem} rate {rate}"));
        }
        (None, false) => all.push(format!("tc qdisc replace dev {device} root netem{netem}")),
        (None, true) => {}
    }
    all
}

async fn run(runtime: &dyn Runtime, lab: &str, host: &str, command: &str) -> Result<()> {
    let words = Command { changes_network: true, ..Command::new(command.split_whitespace()) };
    let Process { mut stderr, mut handle, .. } = runtime.exec(lab, host, &words).await?;
    let mut why = String::new();
    let ending = async {
        let heard = (&mut stderr).take(MOST_SAID).read_to_string(&mut why).await;
        drop(stderr);
        (handle.wait().await, heard)
    };
    // Whoever is root of the host may have put another program in its place, which never ends.
    let Ok((ended, heard)) = timeout(PATIENCE, ending).await else {
        return Err(Error::lab(format!(
            "`{command}` on {host} has not ended after {} s",
            PATIENCE.as_secs()
        ))
        .hint("root of the host may have put another program in its place"));
    };
    match (ended?, heard) {
        (ExitStatus::Exited(0), Ok(_)) => Ok(()),
        (ExitStatus::Exited(127), _) => Err(Error::lab(format!("`{command}` on {host}: {}", why.trim()))
            .hint("the machine needs iproute2: `apt-get install iproute2`")),
        _ if command.contains(" netem ") && (why.contains("netem") || why.contains("qdisc")) => {
            Err(Error::lab(format!(
                "the kernel lacks netem (sch_netem), which loss and delay need: {}",
                why.trim()
            ))
            .hint("`--rate` and `--down` need no netem"))
        }
        _ => Err(Error::lab(format!("`{command}` on {host}: {}", why.trim()))),
    }
}

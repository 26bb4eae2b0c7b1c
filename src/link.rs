//! Changes a host's links: cuts, restores or degrades them.
//!
//! This runs on the host the commands that anyone would type there, so that a student can see, repeat and
//! undo it.

use std::time::Duration;

use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    Error, Result,
    kernel::ExitStatus,
    runtime::{Command, Process, Runtime},
    topology::HostPlan,
};

/// Maximum number of bytes read from a host's program.
const MOST_SAID: u64 = 64 << 10;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A change to a link.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Whether to bring it up or down.
    pub up: Option<bool>,
    /// Percentage of the host's packets to drop.
    pub loss: Option<f64>,
    /// Delay of the host's packets, in tc's syntax: `100ms`.
    pub delay: Option<String>,
    /// Maximum rate of the host's packets, in tc's syntax: `1mbit`.
    pub rate: Option<String>,
    /// Whether to remove loss, delay and rate.
    pub clear: bool,
}

/// Changes every link of a host. Returns the commands used.
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
        // Routes through a router disappear with the link.
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
        let output = (&mut stderr).take(MOST_SAID).read_to_string(&mut why).await;
        drop(stderr);
        (handle.wait().await, output)
    };
    // Root of the host may have replaced the program with one that never ends.
    let Ok((ended, output)) = timeout(PATIENCE, ending).await else {
        return Err(Error::lab(format!("`{command}` on {host} did not end within {} s", PATIENCE.as_secs()))
            .hint("root of the host may have replaced the program"));
    };
    match (ended?, output) {
        (ExitStatus::Exited(0), Ok(_)) => Ok(()),
        (ExitStatus::Exited(127), _) => Err(Error::lab(format!("`{command}` on {host}: {}", why.trim()))
            .hint("the machine needs iproute2: `apt-get install iproute2`")),
        _ if command.contains(" netem ") && (why.contains("netem") || why.contains("qdisc")) => {
            Err(Error::lab(format!(
                "the kernel lacks netem (sch_netem), which loss and delay need: {}",
                why.trim()
            ))
            .hint("`--rate` and `--down` work without netem"))
        }
        _ => Err(Error::lab(format!("`{command}` on {host}: {}", why.trim()))),
    }
}

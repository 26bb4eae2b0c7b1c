//! What is tried before a lab counts as up.

use std::{fs::File, os::fd::AsFd, thread};

use netlab::runtime::{Runtime, wire};
use nix::unistd::geteuid;

use super::lab::Lab;
use crate::support::skip::skipped;

/// Tries the wire as `up` does. Returns what is to be reported.
async fn tried(lab: &Lab) -> Option<String> {
    let (_observer, watch) = lab.runtime.observe(lab.name()).await.unwrap();
    let networks = watch.hosts.iter().map(|host| File::open(format!("/proc/{}/ns/net", host.init)).unwrap());
    let (plan, networks) = (lab.plan.clone(), networks.collect::<Vec<_>>());
    // The thread does not return from the hosts' networks.
    let trying = move || {
        let hosts: Vec<_> = plan.hosts.iter().zip(networks.iter().map(AsFd::as_fd)).collect();
        wire::carries(&hosts).map(|warning| warning.text)
    };
    thread::spawn(trying).join().unwrap()
}

#[tokio::test]
async fn a_wire_that_does_not_carry_is_told() {
    let Some(lab) = Lab::up().await else { return };
    if !geteuid().is_root() {
        return skipped("only root may go to a host's network from outside the lab");
    }
    assert_eq!(tried(&lab).await, None);
    let known = lab.sh("server", "ip neighbour").await.stdout;
    assert_eq!(known, "", "hosts remember nothing of it");
    assert_eq!(lab.sh("client", "ip link set dev eth0 down").await.stderr, "");
    let told = tried(&lab).await.expect("a word about the wire");
    assert!(
        told.contains("the lab's wire does not work: ") && told.contains("hears nothing on lan of"),
        "{told}"
    );
    lab.down().await;
}

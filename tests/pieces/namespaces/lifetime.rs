//! A lab's beginning and end, however it ends.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use netlab::runtime::{Command, HostState, Runtime};
use nix::sys::signal::{Signal, kill};
use tokio::time::{Instant, timeout};

use super::lab::{Lab, PATIENCE, keeper, processes};

/// The network and mount namespaces of some processes.
fn namespaces(pids: &[i32]) -> Vec<u64> {
    let inode = |pid: &i32, kind| fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok().map(|m| m.ino());
    pids.iter().flat_map(|pid| ["net", "mnt", "pid"].map(|kind| inode(pid, kind))).flatten().collect()
}

/// Every process of the machine.
fn all_processes() -> Vec<i32> {
    fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn cgroups(lab: &Lab) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let named = format!("netlab-{}-", lab.name());
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    for _ in 0..2 {
        let next = folders.iter().flat_map(fs::read_dir).flatten().flatten().map(|e| e.path());
        folders = next.filter(|p| p.is_dir()).collect();
        found.extend(
            folders.iter().filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&named)).cloned(),
        );
    }
    found
}

/// Waits until all of the processes are gone.
async fn gone(pids: &[i32]) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(pid) = pids.iter().find(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        assert!(Instant::now() < deadline, "{pid} is still there");
        tokio::task::yield_now().await;
    }
}

/// Everything that belongs to a lab while it is up.
struct Traces {
    pids: Vec<i32>,
    /// Everything that runs beside it.
    others: Vec<i32>,
    namespaces: Vec<u64>,
    mounts: String,
    interfaces: Vec<String>,
}

fn interfaces() -> Vec<String> {
    let names = fs::read_dir("/sys/class/net").unwrap().flatten();
    names
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| n.starts_with("br-lan") || n.starts_with("port"))
        .collect()
}

impl Traces {
    fn of(lab: &Lab) -> Self {
        let pids = processes(lab);
        let mut namespaces = namespaces(&pids);
        let own = self::namespaces(&[std::process::id().cast_signed()]);
        namespaces.retain(|n| !own.contains(n));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut others = all_processes();
        others.retain(|pid| !pids.contains(pid));
        Self { pids, others, namespaces, mounts, interfaces: interfaces() }
    }

    async fn are_gone(&self, lab: &Lab) {
        gone(&self.pids).await;
        // Only what ran then: the kernel reuses the number of a namespace for the next one, in another lab.
        let still = namespaces(&self.others);
        assert!(self.namespaces.iter().all(|n| !still.contains(n)), "a namespace is left");
        let state = lab.state.path().to_str().unwrap();
        assert!(!self.mounts.contains(state), "a mount was seen on the machine");
        assert!(self.interfaces.is_empty(), "the machine has {:?}", self.interfaces);
        assert_eq!(cgroups(lab), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn down_leaves_nothing() {
    let Some(mut lab) = Lab::planned().await else { return };
    lab.plan.hosts[0].limits.pids = Some(100);
    lab.build().await.unwrap();
    lab.runtime.start(lab.name(), "server", &Command::new(["sleep", "1000"])).await.unwrap();
    let traces = Traces::of(&lab);
    // Keeper, two hosts, a program.
    assert_eq!(traces.pids.len(), 4);
    assert!(lab.down().await);
    traces.are_gone(&lab).await;
    assert_eq!(fs::read_dir(lab.state.path().join("labs")).unwrap().count(), 0);
    assert!(!lab.down().await, "there is nothing to take down");
    assert!(lab.runtime.lab(lab.name()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_killed_keeper_takes_everything_with_it() {
    let Some(mut lab) = Lab::planned().await else { return };
    lab.plan.hosts[0].limits.pids = Some(100);
    lab.build().await.unwrap();
    lab.runtime.start(lab.name(), "server", &Command::new(["sleep", "1000"])).await.unwrap();
    let traces = Traces::of(&lab);
    kill(keeper(&lab), Signal::SIGKILL).unwrap();
    gone(&traces.pids).await;
    let dead = lab.runtime.lab(lab.name()).await.unwrap().unwrap();
    assert_eq!(dead.hosts, [HostState::Missing; 2]);
    assert_eq!(lab.runtime.labs().await.unwrap().len(), 1);
    assert!(lab.down().await, "its folder was there");
    traces.are_gone(&lab).await;
    assert_eq!(fs::read_dir(lab.state.path().join("labs")).unwrap().count(), 0);
}

#[tokio::test]
async fn up_clears_what_a_killed_keeper_left() {
    let Some(lab) = Lab::up().await else { return };
    let killed = keeper(&lab);
    kill(killed, Signal::SIGKILL).unwrap();
    gone(&[killed.as_raw()]).await;
    // At once, while the hosts may still be dying.
    lab.build().await.unwrap();
    assert!(lab.runtime.lab(lab.name()).await.unwrap().unwrap().is_whole());
    lab.down().await;
}

#[tokio::test]
async fn a_keeper_told_to_go_by_the_system_clears_up() {
    let Some(lab) = Lab::up().await else { return };
    let pids = processes(&lab);
    kill(keeper(&lab), Signal::SIGTERM).unwrap();
    gone(&pids).await;
    assert!(!lab.down().await, "there is nothing left to take down");
}

/// As a last logout clears a user's runtime folder: nobody could reach the lab any more.
#[tokio::test]
async fn a_lab_whose_folder_goes_goes_with_it() {
    let Some(mut lab) = Lab::planned().await else { return };
    lab.plan.hosts[0].limits.pids = Some(100);
    lab.build().await.unwrap();
    let traces = Traces::of(&lab);
    fs::remove_dir_all(lab.state.path().join("labs")).unwrap();
    traces.are_gone(&lab).await;
    assert!(!lab.down().await, "there is nothing left to take down");
    lab.build().await.unwrap();
    lab.down().await;
}

/// While its last processes still hold its socket.
#[tokio::test]
async fn down_at_once_after_a_keepers_end_finds_it_gone() {
    for _ in 0..20 {
        let Some(lab) = Lab::up().await else { return };
        kill(keeper(&lab), Signal::SIGKILL).unwrap();
        assert!(lab.down().await);
    }
}

#[tokio::test]
async fn a_keeper_that_hangs_is_made_to_go() {
    let Some(lab) = Lab::up().await else { return };
    let traces = Traces::of(&lab);
    kill(keeper(&lab), Signal::SIGSTOP).unwrap();
    assert!(lab.down().await);
    traces.are_gone(&lab).await;
}

#[tokio::test]
async fn a_second_up_is_refused_and_harms_nothing() {
    let Some(lab) = Lab::planned().await else { return };
    // At once: they take turns.
    let (one, two) = tokio::join!(lab.build(), lab.build());
    let error = one.and(two).unwrap_err();
    assert!(error.message.contains("is already up"), "{error}");
    assert!(lab.runtime.lab(lab.name()).await.unwrap().unwrap().is_whole());
    assert!(lab.sh("client", "ping -c 1 -W 5 server").await.stdout.contains("1 received"));
    lab.down().await;
}

#[tokio::test]
async fn an_up_that_fails_leaves_nothing() {
    let Some(mut lab) = Lab::planned().await else { return };
    lab.plan.hosts[1].mounts = vec![netlab::topology::Mount {
        source: "/no/such/folder".into(),
        target: "/root/code".into(),
        read_only: true,
        copy: None,
    }];
    let error = lab.build().await.unwrap_err();
    assert!(error.message.contains("/no/such/folder"), "{error}");
    lab.plan.hosts[1].mounts.clear();
    lab.plan.hosts[1].links[0].address = lab.plan.hosts[0].links[0].address;
    lab.plan.hosts[1].links[0].prefix_len = 40;
    assert!(lab.build().await.is_err());
    gone(&processes(&lab)).await;
    assert_eq!(fs::read_dir(lab.state.path().join("labs")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_host_whose_first_process_ends_has_stopped() {
    let Some(lab) = Lab::up().await else { return };
    let mut waiting = lab.runtime.exec(lab.name(), "server", &Command::new(["sleep", "1000"])).await.unwrap();
    assert!(lab.sh("server", "kill -TERM 1").await.stderr.is_empty());
    timeout(PATIENCE, waiting.handle.wait()).await.unwrap().unwrap();
    // PID 1 goes only after all other processes of its host.
    let deadline = Instant::now() + PATIENCE;
    while lab.runtime.lab(lab.name()).await.unwrap().unwrap().is_whole() {
        assert!(Instant::now() < deadline, "the server does not stop");
    }
    let state = lab.runtime.lab(lab.name()).await.unwrap().unwrap();
    assert_eq!(state.hosts, [HostState::Stopped, HostState::Running]);
    let error = lab.runtime.exec(lab.name(), "server", &Command::new(["true"])).await.err().unwrap();
    assert!(error.message.contains("has stopped"), "{error}");
    lab.down().await;
}

#[tokio::test]
async fn labs_live_side_by_side() {
    let (Some(one), Some(mut two)) = (Lab::up().await, Lab::planned().await) else { return };
    two.runtime = one.runtime.clone();
    two.build().await.unwrap();
    assert_eq!(one.runtime.labs().await.unwrap().len(), 2);
    assert!(one.down().await);
    assert!(two.runtime.lab(two.name()).await.unwrap().unwrap().is_whole());
    assert!(two.sh("client", "ping -c 1 -W 5 server").await.stdout.contains("1 received"));
    assert!(two.down().await);
}

/// As after a full disk. Its hosts are no longer known, only that it is there.
#[tokio::test]
async fn a_lab_without_its_plan_is_among_those_to_take_down() {
    let Some(lab) = Lab::up().await else { return };
    let traces = Traces::of(&lab);
    let place = lab.state.path().join("labs");
    fs::write(place.join(lab.name()).join("lab.json"), "{").unwrap();
    // The user's own folder, if the state is kept in one with other files.
    fs::create_dir(place.join("thesis")).unwrap();
    fs::write(place.join("thesis/chapter1"), "").unwrap();
    assert!(lab.runtime.lab(lab.name()).await.unwrap().is_none());
    assert_eq!(lab.runtime.names().await.unwrap(), [lab.name()]);
    assert!(lab.down().await);
    traces.are_gone(&lab).await;
    assert!(!lab.runtime.down("thesis").await.unwrap());
    assert!(place.join("thesis/chapter1").exists());
}

#[tokio::test]
async fn how_a_keeper_died_is_told() {
    let Some(mut lab) = Lab::planned().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("netlab");
    fs::write(&program, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    lab.runtime = lab.runtime.clone().with_program(program);
    let error = lab.build().await.unwrap_err();
    assert_eq!(error.with_causes(), "the lab's keeper died: ended by SIGKILL");
}

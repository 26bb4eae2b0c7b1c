//! What is special about labs on Docker: only what carries a lab's label is ever touched, nothing is
//! left over, and on a machine without an engine an error says so.
//!
//! Where no engine answers, the tests that need one are reported as ignored.

mod half_way;
mod owner;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use crate::support::{
    self, Lab,
    engine::PassedOn,
    trials::{On, trial},
    unique,
};
use libtest_mimic::Trial;
use netlab::{
    runtime::{RuntimeKind, Step},
    topology::{Mount, Topology},
    yaml::Document,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

pub fn trials() -> Vec<Trial> {
    let on = On::runtime("docker", RuntimeKind::Docker);
    let with_engine: [(&str, fn()); 19] = [
        ("what_an_engine_still_makes_is_waited_for", half_way::what_an_engine_still_makes_is_waited_for),
        ("a_lab_that_was_being_removed_is_not_up", half_way::a_lab_that_was_being_removed_is_not_up),
        ("an_interrupted_down_goes_on_to_its_end", half_way::an_interrupted_down_goes_on_to_its_end),
        (
            "a_down_that_is_interrupted_twice_says_what_is_left",
            half_way::a_down_that_is_interrupted_twice_says_what_is_left,
        ),
        ("ups_and_downs_at_once_take_turns", half_way::ups_and_downs_at_once_take_turns),
        (
            "an_end_by_force_at_any_moment_leaves_nothing",
            half_way::an_end_by_force_at_any_moment_leaves_nothing,
        ),
        ("what_is_not_ours_stays", what_is_not_ours_stays),
        ("what_a_killed_up_left_is_cleared", what_a_killed_up_left_is_cleared),
        ("an_interrupted_up_clears_up", an_interrupted_up_clears_up),
        ("what_is_still_being_made_is_cleared_up_too", what_is_still_being_made_is_cleared_up_too),
        ("an_engine_that_stops_half_way_is_told", an_engine_that_stops_half_way_is_told),
        ("a_lab_is_watched_by_a_newer_netlab", a_lab_is_watched_by_a_newer_netlab),
        ("labs_started_at_once_get_subnets_of_their_own", labs_started_at_once_get_subnets_of_their_own),
        ("a_subnet_in_use_is_told_with_its_place", a_subnet_in_use_is_told_with_its_place),
        ("routers_have_their_links_in_order", routers_have_their_links_in_order),
        ("hosts_reach_nothing_but_their_wire", hosts_reach_nothing_but_their_wire),
        ("strangers_have_no_say_about_their_hosts_network", strangers_have_no_say_about_their_hosts_network),
        ("the_observer_is_bounded", the_observer_is_bounded),
        ("a_wire_that_cannot_be_closed_is_told", a_wire_that_cannot_be_closed_is_told),
    ];
    let mut trials: Vec<_> = with_engine.into_iter().map(|(name, test)| on.trial(name, test)).collect();
    let by_root: [(&str, fn()); 2] = [
        ("a_lab_is_its_owners", owner::a_lab_is_its_owners),
        ("root_may_take_down_anybodys_and_says_whose", owner::root_may_take_down_anybodys_and_says_whose),
    ];
    // Who else could be another user, too?
    let ignored = !geteuid().is_root() || on.missing.is_some();
    trials.extend(by_root.into_iter().map(|(name, test)| on.trial(name, test).with_ignored_flag(ignored)));
    trials.push(trial("docker::an_engine_that_is_not_there_is_told", an_engine_that_is_not_there_is_told));
    trials
}

fn netlab(lab: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.args(arguments).env("NETLAB_LAB", lab).env("NETLAB_RUNTIME", "docker");
    command
}

fn succeeds(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

fn docker(arguments: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(arguments);
    succeeds(command)
}

/// The names of the containers and networks that carry the lab's label, or begin with its prefix.
fn left_of(lab: &str) -> String {
    let name = format!("name=netlab-{lab}");
    docker(&["ps", "-aq", "--filter", &name]) + &docker(&["network", "ls", "-q", "--filter", &name])
}

fn what_is_not_ours_stays() {
    let lab = Lab::up(RuntimeKind::Docker, support::ROOM);
    let image = docker(&["inspect", "--format", "{{.Image}}", &format!("netlab-{}.server", lab.name)]);
    // Named as if it were a host of the lab, but without its label.
    let stranger = format!("netlab-{}.stranger", lab.name);
    docker(&["run", "-d", "--name", &stranger, "--entrypoint", "sleep", &image, "300"]);
    docker(&["network", "create", &stranger]);
    succeeds(netlab(&lab.name, &["down"]));
    let running = docker(&["inspect", "--format", "{{.State.Running}}", &stranger]);
    let network = docker(&["network", "inspect", "--format", "{{.Name}}", &stranger]);
    docker(&["rm", "-f", &stranger]);
    docker(&["network", "rm", &stranger]);
    assert_eq!((running.as_str(), network), ("true", stranger));
    assert_eq!(left_of(&lab.name), "");
}

/// `netlab up`, stopped by a signal as soon as it says that it starts the hosts.
fn stopped_up(lab: &str, signal: Signal) -> Option<i32> {
    let mut up = netlab(lab, &["up"]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(up.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.contains("starting the hosts")));
    kill(Pid::from_raw(up.id().cast_signed()), signal).unwrap();
    lines.for_each(drop);
    up.wait().unwrap().code()
}

fn what_a_killed_up_left_is_cleared() {
    let lab = unique("d");
    assert_eq!(stopped_up(&lab, Signal::SIGKILL), None);
    assert_ne!(left_of(&lab), "", "there is something to clear");
    succeeds(netlab(&lab, &["up"]));
    assert_eq!(succeeds(netlab(&lab, &["exec", "client1", "--", "hostname"])), "client1");
    succeeds(netlab(&lab, &["down"]));
    assert_eq!(left_of(&lab), "");
}

fn an_interrupted_up_clears_up() {
    let lab = unique("d");
    assert_eq!(stopped_up(&lab, Signal::SIGINT), Some(130));
    assert_eq!(left_of(&lab), "");
}

fn what_is_still_being_made_is_cleared_up_too() {
    let lab = unique("d");
    let folder = tempfile::tempdir().unwrap();
    let engine = PassedOn::at(folder.path().join("docker.sock"));
    engine.hold_when(b"/containers/create");
    let mut up = netlab(&lab, &["up"]);
    let mut up = up.env("DOCKER_HOST", engine.url()).stderr(Stdio::piped()).spawn().unwrap();
    engine.wait_until_it_holds();
    kill(Pid::from_raw(up.id().cast_signed()), Signal::SIGINT).unwrap();
    let (say, said) = mpsc::channel();
    let lines = BufReader::new(up.stderr.take().unwrap()).lines();
    let listening = thread::spawn(move || lines.for_each(|line| say.send(line.unwrap()).unwrap()));
    assert!(said.iter().any(|line| line.contains("interrupted: taking down")));
    // Without waiting for the engine it would be done by then.
    assert_eq!(said.recv_timeout(Duration::from_millis(500)), Err(RecvTimeoutError::Timeout));
    engine.go_on();
    listening.join().unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(130));
    assert_eq!(left_of(&lab), "");
}

fn an_engine_that_stops_half_way_is_told() {
    let lab = unique("d");
    let folder = tempfile::tempdir().unwrap();
    let engine = PassedOn::at(folder.path().join("docker.sock"));
    // The networks are made by then; whatever else is under way fails, too.
    engine.stop_when(format!("/containers/netlab-{lab}.server/start").as_bytes());
    let output = netlab(&lab, &["up"]).env("DOCKER_HOST", engine.url()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("error: cannot start host "), "{said}");
    assert_ne!(left_of(&lab), "", "the network was made, and nobody was there to remove it");
    succeeds(netlab(&lab, &["down"]));
    assert_eq!(left_of(&lab), "");
}

/// Whose image the engine does not have yet.
fn a_lab_is_watched_by_a_newer_netlab() {
    let lab = Lab::up(RuntimeKind::Docker, support::ROOM);
    let newer = tempfile::tempdir().unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_netlab")).parent().unwrap();
    for name in ["lab-init", "netlab", "processes", "tcpecho", "tcpechod", "threads"] {
        fs::copy(built.join(name), newer.path().join(name)).unwrap();
    }
    let mut changed = fs::OpenOptions::new().append(true).open(newer.path().join("threads")).unwrap();
    changed.write_all(lab.name.as_bytes()).unwrap();
    let mut exercise = Command::new(newer.path().join("netlab"));
    exercise.args(["exercise", "processes", "--runtime", "docker", "--lab", &lab.name]);
    exercise.current_dir(newer.path());
    succeeds(exercise);
    let observers = format!("name=netlab-{}_observer", lab.name);
    let images = docker(&["ps", "--filter", &observers, "--format", "{{.Image}}"]);
    let host = format!("netlab-{}.server", lab.name);
    let older = docker(&["inspect", "--format", "{{.Config.Image}}", &host]);
    let newer: Vec<_> = images.lines().filter(|image| *image != older).collect();
    let [image] = newer[..] else { panic!("{images}") };
    drop(lab);
    docker(&["rmi", image]);
}

fn labs_started_at_once_get_subnets_of_their_own() {
    let names = [unique("d"), unique("d"), unique("d")];
    let ups: Vec<_> = names
        .iter()
        .map(|lab| netlab(lab, &["up", "--json"]).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let addresses: Vec<String> = ups
        .into_iter()
        .map(|up| {
            let said: serde_json::Value =
                serde_json::from_slice(&up.wait_with_output().unwrap().stdout).unwrap();
            said["hosts"][0]["address"].as_str().unwrap().to_owned()
        })
        .collect();
    for lab in &names {
        succeeds(netlab(lab, &["down"]));
    }
    let mut different = addresses.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 3, "{addresses:?}");
}

fn a_subnet_in_use_is_told_with_its_place() {
    let network = format!("{}-foreign", unique("d"));
    docker(&["network", "create", "--subnet", "198.19.77.0/24", &network]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.yaml");
    std::fs::write(&file, "segments:\n  lan: {subnet: 198.19.77.0/25}\nhosts:\n  a: {}\n").unwrap();
    let output = netlab(&unique("d"), &["up", "-f", file.to_str().unwrap()]).output().unwrap();
    docker(&["network", "rm", &network]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("lab.yaml:2:") && said.contains("in use on this machine"), "{said}");
}

fn routers_have_their_links_in_order() {
    let lab = Lab::up(RuntimeKind::Docker, support::TWO_SEGMENTS);
    let router = lab.plan.host("router").unwrap();
    let script = "ip -4 -o address show dev eth0; ip -4 -o address show dev eth1";
    let said = succeeds(netlab(&lab.name, &["exec", "router", "--", "sh", "-c", script]));
    for (line, link) in said.lines().zip(&router.links) {
        assert!(line.contains(&format!(" {}/", link.address)), "{said}");
    }
}

fn hosts_reach_nothing_but_their_wire() {
    let lab = Lab::up(RuntimeKind::Docker, support::ROOM);
    let routes = succeeds(netlab(&lab.name, &["exec", "client1", "--", "ip", "route"]));
    assert!(routes.starts_with("198.18.") && routes.lines().count() == 1, "{routes}");
    // Nor the machine, which has what the engine calls the gateway. Another host is there.
    let gateway = lab.plan.segments[0].subnet.hosts().next().unwrap().to_string();
    for (address, is_there) in [(gateway.as_str(), false), ("server", true)] {
        let mut ping = netlab(&lab.name, &["exec", "client1", "--", "ping", "-c", "1", "-W", "2", address]);
        let output = ping.output().unwrap();
        assert_eq!(
            output.status.success(),
            is_there,
            "{address}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

/// Of a lab that runs programs of people whom nobody knows: its network is readied from outside, as its
/// hosts may not do it themselves.
fn strangers_have_no_say_about_their_hosts_network() {
    let folder = tempfile::tempdir().unwrap();
    let lab = support::block_on(async {
        let name = unique("d");
        let runtime = support::open(RuntimeKind::Docker).await.unwrap();
        let document = Document::parse("test.yaml", support::TWO_SEGMENTS.as_bytes()).unwrap();
        let mut topology = Topology::from_document(document, Path::new("")).unwrap();
        topology.distrust();
        topology.mount(&Mount {
            source: folder.path().to_owned(),
            target: "/lab".into(),
            read_only: false,
            copy: Some(1 << 20),
        });
        let open = Mutex::new(Vec::new());
        let note = |step: Step| open.lock().unwrap().extend(step.lasting.then_some(step.what));
        let plan = netlab::runtime::build(runtime.as_ref(), &topology, &name, &note).await.unwrap();
        assert_eq!(open.into_inner().unwrap(), Vec::<String>::new());
        Lab { runtime, name, plan }
    });
    let ask = |line: &str| {
        let output = netlab(&lab.name, &["exec", "client", "--", "sh", "-c", line]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (_, status) = ask("grep CapBnd /proc/self/status");
    // capabilities(7): 0, 1, 3 to 8 and 10.
    assert!(status.trim().ends_with("00000000000005fb"), "{status}");
    for line in [
        "ip link set dev eth0 down",
        "ip address add 198.18.0.99/15 dev eth0",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "chroot / true",
    ] {
        assert!(!ask(line).0, "{line}");
    }
    let (_, mounted) = ask("grep ' /lab ' /proc/mounts");
    assert!(mounted.contains("nosuid,nodev"), "{mounted}");
    // The kernel puts real checksums into its packets, as it says (linux/ethtool.h: ETHTOOL_GTXCSUM).
    let offload = "import array, fcntl, socket, struct; value = array.array('I', [0x16, 7]); \
                   request = struct.pack('16sP', b'eth0', value.buffer_info()[0]); \
                   fcntl.ioctl(socket.socket(), 0x8946, request); print(value[1])";
    assert_eq!(ask(&format!("python3 -c \"{offload}\"")), (true, "0\n".into()));
    // Nothing leads elsewhere, but the router leads to the other segment.
    let (_, routes) = ask("ip route");
    assert!(!routes.contains("default") && routes.lines().count() == 2, "{routes}");
    let reached =
        ask("for i in 1 2 3 4 5 6 7 8 9; do echo hello | tcpecho server 8007 && exit; done; exit 1");
    assert!(reached.1.contains("hello"), "{reached:?}");
}

fn the_observer_is_bounded() {
    let lab = Lab::up(RuntimeKind::Docker, support::ROOM);
    let name = format!("name=netlab-{}_observer", lab.name);
    let observer = docker(&["ps", "-q", "--filter", &name]);
    let format = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.SecurityOpt}}";
    let bounds = docker(&["inspect", "--format", format, &observer]);
    assert!(bounds.starts_with("1073741824 256 [no-new-privileges"), "{bounds}");
}

/// An engine that makes hosts and no observer.
fn a_wire_that_cannot_be_closed_is_told() {
    let lab = unique("d");
    let folder = tempfile::tempdir().unwrap();
    let engine = PassedOn::at(folder.path().join("docker.sock"));
    engine.refuse_when(b"_observer");
    let output = netlab(&lab, &["up"]).env("DOCKER_HOST", engine.url()).output().unwrap();
    succeeds(netlab(&lab, &["down"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told: Vec<_> = said.lines().filter(|line| line.contains("the lab's wire is not closed: ")).collect();
    assert_eq!(told.len(), 1, "{said}");
    assert_eq!(left_of(&lab), "");
}

fn an_engine_that_is_not_there_is_told() {
    let mut command = netlab(&unique("d"), &["up"]);
    let output = command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("unix:///nonexistent/docker.sock") && said.contains("hint: "), "{said}");
}

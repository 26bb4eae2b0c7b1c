//! A second, real engine that belongs to the test, and is stopped and killed under a lab.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use libtest_mimic::Failed;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    docker,
    ground::Ground,
    run::{finish, finish_after},
    seed::Rounds,
    world::World,
};

/// Time limit for an engine to answer, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// It is stopped or killed while an exercise runs; while it is away, every command says so, and once it is
/// back, the lab can be built and taken down.
pub fn an_engine_that_is_restarted_is_survived(
    ground: &Ground,
    rounds: Rounds,
    name: &str,
) -> Result<(), Failed> {
    let world = World::new(ground);
    world.runs(&["up"]);
    let image = docker::names("containers", &world.lab, "Image").pop().unwrap();
    world.runs(&["down"]);
    let mut engine = Engine::new();
    engine.start();
    engine.load(&image);
    rounds.each(name, |dice| {
        let netlab = |arguments: &[&str]| finish(world.netlab(arguments).env("DOCKER_HOST", engine.url()));
        let up = netlab(&["up"]);
        assert_eq!(up.code(), Some(0), "{up:?}");
        let after = dice.moment(Duration::from_secs(3));
        let signal = *dice.turn(&[Signal::SIGTERM, Signal::SIGKILL]);
        let engine_pid = engine.pid();
        let mut exercise = world.netlab(&["exercise", "2"]);
        let ended = finish_after(
            exercise.env("DOCKER_HOST", engine.url()),
            |_| after,
            |_| {
                kill(engine_pid, signal).unwrap();
            },
        );
        assert!(matches!(ended.code(), Some(0 | 3)), "{signal} after {after:?}: {ended:?}");
        engine.end(signal);
        for arguments in [&["status"][..], &["up"], &["exec", "client1", "--", "true"], &["down"]] {
            let ended = finish(world.netlab(arguments).env("DOCKER_HOST", engine.url()));
            assert_eq!(ended.code(), Some(3), "netlab {}: {ended:?}", arguments.join(" "));
        }
        engine.start();
        let netlab = |arguments: &[&str]| finish(world.netlab(arguments).env("DOCKER_HOST", engine.url()));
        // After a kill, the processes that held its hosts may live on, and only that engine could end them.
        if signal == Signal::SIGTERM {
            let up = netlab(&["up"]);
            assert_eq!(up.code(), Some(0), "{up:?}");
            // Without rules in the machine's firewall, an engine's network may not work.
            let said = netlab(&["exec", "client1", "--", "echo", "hello"]);
            assert!(said.stdout.contains("hello"), "{said:?}");
        }
        let down = netlab(&["down"]);
        assert_eq!(down.code(), Some(0), "{down:?}");
        for kind in ["containers", "networks", "volumes"] {
            let left = docker::names_at(&engine.socket(), kind, &world.lab, "Name");
            assert!(left.is_empty(), "{kind}: {left:?}");
        }
    })?;
    drop(engine);
    world.is_cleared();
    Ok(())
}

/// An engine with its own socket, data, containerd, and bridge, for which the machine's firewall has no
/// rules.
struct Engine {
    folder: TempDir,
    bridge: String,
    running: Option<Child>,
}

impl Engine {
    fn new() -> Self {
        let bridge = format!("nlt{}", std::process::id() % 100_000);
        ip(&["link", "add", &bridge, "type", "bridge"]);
        ip(&["addr", "add", "198.19.255.1/24", "dev", &bridge]);
        let folder = tempfile::tempdir().unwrap();
        // The machine's own configuration says where its data is.
        fs::write(folder.path().join("daemon.json"), "{}").unwrap();
        Self { folder, bridge, running: None }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.at("docker.sock")
    }

    fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.running.as_ref().unwrap().id().cast_signed())
    }

    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.at("log")).unwrap();
        let mut command = Command::new("dockerd");
        command.arg("--config-file").arg(self.at("daemon.json")).args(["-H", &self.url()]);
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(option).arg(self.at(name));
        }
        command.args(["--iptables=false", "--ip6tables=false", "--bridge", &self.bridge]);
        // A killed engine leaves its pid files, whose pids may be others' by now.
        for file in ["pid", "exec/containerd/containerd.pid"] {
            let _ = fs::remove_file(self.at(file));
        }
        let log = (log.try_clone().unwrap(), log);
        self.running = Some(command.stdin(Stdio::null()).stdout(log.0).stderr(log.1).spawn().unwrap());
        let socket = self.socket();
        let log = self.at("log");
        until(
            || docker::answers(&socket),
            || {
                let log = fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                format!("no engine answers: {last:#?}")
            },
        );
    }

    /// Waits for its end after this signal, which is sent unless it was already.
    fn end(&mut self, signal: Signal) {
        let Some(mut running) = self.running.take() else { return };
        let _ = kill(Pid::from_raw(running.id().cast_signed()), signal);
        until(|| running.try_wait().unwrap().is_some(), || "the engine does not end".into());
    }

    /// Loads an image of the machine's engine into it.
    fn load(&self, image: &str) {
        let file = self.at("image.tar");
        docker::save(image, &file);
        docker::load(&self.socket(), &file);
        fs::remove_file(file).unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end(Signal::SIGTERM);
        // What a killed engine left running ends with the process that holds it.
        for pid in pids_below(&self.at("exec")).into_iter().chain(pids_of(self.folder.path())) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        ip(&["link", "del", &self.bridge]);
        for mount in mounts_below(self.folder.path()) {
            let _ = nix::mount::umount2(&mount, nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

/// Returns the pids in files below a folder.
fn pids_below(folder: &Path) -> Vec<Pid> {
    let path = folder.join("containerd/containerd.pid");
    let pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    pid.map(Pid::from_raw).into_iter().collect()
}

/// Returns the processes whose arguments name a folder.
fn pids_of(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_string_lossy().into_owned();
    let named = |pid: &i32| {
        let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != std::process::id().cast_signed() && String::from_utf8_lossy(&argv).contains(&folder)
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    all.filter(named).map(Pid::from_raw).collect()
}

/// Returns the mount points below a folder, innermost first.
fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut points: Vec<PathBuf> = points.filter(|point| point.starts_with(folder)).collect();
    points.reverse();
    points
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

fn until(mut condition: impl FnMut() -> bool, or_else: impl FnOnce() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{}", or_else());
        std::thread::yield_now();
    }
}

//! Attacks on the observer of a lab: on what it believes, and on its memory.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::libc;
use serde_json::Value;

use crate::ground::{Ground, Lab, Said, unique};

/// Memory limit for every process of netlab's, in kilobytes.
const MEMORY: i64 = 300 << 10;

pub fn add(add: &mut impl FnMut(&str, fn(&Ground)), ground: &Ground) {
    if cfg!(target_arch = "x86_64") {
        add("a_proc_behind_pid_1_is_not_believed", a_proc_behind_pid_1_is_not_believed);
    }
    add("a_flood_of_packets_is_dropped_and_told", a_flood_of_packets_is_dropped_and_told);
    add(
        "more_sockets_than_are_looked_at_are_no_wrong_answer",
        more_sockets_than_are_looked_at_are_no_wrong_answer,
    );
    if ground.runtime == "namespaces" {
        add("observers_inherit_nothing_and_are_bounded", observers_inherit_nothing_and_are_bounded);
    }
}

/// What a host's process would present to an observer that trusted the host: its own folders below another
/// root of PID 1, with links to a file and a process of the machine, and without zombies.
const FAKE: &str = "
mkdir -p /tmp/fake/proc/1/ns /tmp/fake/proc/1/net /tmp/fake/proc/1/fd /tmp/fake/proc/7/fd && cd /tmp/fake/proc
ln -s \"$(readlink /proc/self/ns/pid)\" 1/ns/pid
for file in stat status cmdline net/tcp; do cat /proc/1/$file >1/$file; done
for pid in $(ls /proc | grep '^[0-9]'); do
    [ $pid = 1 ] || grep -q '^State:.Z' /proc/$pid/status || ln -s ../../../proc/$pid $pid
done 2>/dev/null
sed 's/^1 ([^)]*)/7 (ghost)/; s/ S 0 / S 1 /' /proc/1/stat >7/stat
cat /proc/1/status >7/status
ln -s /proc/VICTIM/root/SECRET 7/cmdline
ln -s /proc/VICTIM VICTIM";

fn a_proc_behind_pid_1_is_not_believed(ground: &Ground) {
    let lab = ground.up();
    let secret = ground.write(&format!("secret-{}", lab.name), "nobody-on-a-host-may-read-this");
    let mut victim = Victim(ground.command("sleep").arg("300").spawn().unwrap());
    let pid = victim.0.id().to_string();

    lab.compile("server", include_str!("leaver.c"), "/tmp/leaver");
    assert_eq!(lab.sh("server", "/tmp/leaver >/dev/null 2>&1 &").code, 0);
    let secret = secret.to_str().unwrap().trim_start_matches('/');
    assert_eq!(lab.sh("server", &FAKE.replace("VICTIM", &pid).replace("SECRET", secret)).code, 0);
    lab.compile("server", include_str!("pid1.c"), "/tmp/pid1");
    // If PID 1 cannot be traced, the attack ends here.
    lab.sh("server", "/tmp/pid1 /tmp/fake");

    let said = ground.run(&["kill", "--lab", &lab.name, "-KILL", "server", "--pid", &pid]);
    assert_ne!(said.code, 0, "no process of the host has that pid: {said:?}");
    assert!(victim.0.try_wait().unwrap().is_none(), "a process of the machine was killed");

    let (said, captures) = exercise(&lab, |command| Said::from(command.output().unwrap()));
    let evidence = captures.iter().find(|path| path.ends_with("evidence.json")).expect("evidence");
    let evidence: Value = serde_json::from_slice(&fs::read(evidence).unwrap()).unwrap();
    assert!(has_zombie(&evidence, "leaver"), "the zombie was hidden: {said:?}");
    for file in &captures {
        let bytes = fs::read(file).unwrap();
        let leaked = bytes.windows(30).any(|window| window == b"nobody-on-a-host-may-read-this");
        assert!(!leaked, "a file of the machine is in {}", file.display());
    }
}

/// Runs exercise 2; returns the result of `run` and the files written.
fn exercise<T>(lab: &Lab<'_>, run: impl FnOnce(&mut Command) -> T) -> (T, Vec<PathBuf>) {
    let captures = format!("captures-{}", lab.name);
    let done = run(&mut lab.ground.netlab(&["exercise", "2", "--lab", &lab.name, "--captures", &captures]));
    let mut files = Vec::new();
    for folder in fs::read_dir(lab.ground.home().join(captures)).into_iter().flatten() {
        files.extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    (done, files)
}

/// Returns whether the evidence contains a row of an ended process of that name.
fn has_zombie(evidence: &Value, name: &str) -> bool {
    match evidence {
        Value::Object(row) => {
            let field = |key: &str| row.get(key).and_then(Value::as_str);
            (field("name"), field("state")) == (Some(name), Some("Z"))
                || row.values().any(|value| has_zombie(value, name))
        }
        Value::Array(rows) => rows.iter().any(|row| has_zombie(row, name)),
        _ => false,
    }
}

fn a_flood_of_packets_is_dropped_and_told(ground: &Ground) {
    let lab = ground.up();
    lab.compile("client1", include_str!("flood.c"), "/tmp/flood");
    let begin = "/tmp/flood >/dev/null 2>&1 & for n in $(seq 2000); do \
                 [ $(cat /sys/class/net/eth0/statistics/tx_packets) -gt 50000 ] && exit 0; sleep 0.01; done; exit 1";
    assert_eq!(lab.sh("client1", begin).code, 0, "it can flood here");
    let ((code, memory), _) = exercise(&lab, peak_memory);
    assert!(memory < MEMORY, "{memory} KiB");
    assert_ne!(code, 1, "what was not seen must not fail a check");
}

fn more_sockets_than_are_looked_at_are_no_wrong_answer(ground: &Ground) {
    let lab = ground.up();
    lab.compile("client2", include_str!("sockets.c"), "/tmp/sockets");
    for first in [20_000, 40_000] {
        let listen = format!("/tmp/sockets {first} 12000 >/tmp/{first} & ");
        let wait = format!(
            "for n in $(seq 2000); do [ -s /tmp/{first} ] && break; sleep 0.01; done; cat /tmp/{first}"
        );
        let said = lab.sh("client2", &(listen + &wait));
        // One or two ports may be in use.
        assert!(said.stdout.trim().parse().is_ok_and(|listening: i32| listening > 11_000), "{said:?}");
    }
    let ((code, memory), _) = exercise(&lab, peak_memory);
    assert!(memory < MEMORY, "{memory} KiB");
    assert_eq!(code, 3, "what was not seen must neither fail nor pass a check");
}

/// Runs a program; returns its exit code and peak memory in kilobytes.
#[allow(unsafe_code, clippy::zombie_processes, reason = "`wait4` waits, and returns its memory")]
fn peak_memory(command: &mut Command) -> (i32, i64) {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut status, pid) = (0, child.id().cast_signed());
    // SAFETY: both are written to, and zeroes are a valid `rusage`.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid);
        usage
    };
    (libc::WEXITSTATUS(status), usage.ru_maxrss)
}

fn observers_inherit_nothing_and_are_bounded(ground: &Ground) {
    let lab = Lab { ground, name: unique() };
    let mut up = ground.netlab(&["up", "--lab", &lab.name]);
    let up = up.env("SECRET", "token").env("NOT_UTF8", OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert!(up.status.success(), "{up:?}");
    let capture = format!("{}.pcapng", lab.name);
    let mut follow = ground.netlab(&["capture", "follow", "--lab", &lab.name, "--announce", "-w", &capture]);
    let mut follow = Victim(follow.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(follow.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it records");

    let observers = || {
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let is_one = |path: &PathBuf| {
            fs::read(path.join("cmdline")).is_ok_and(|line| line == b"netlab\0observe\0")
                && fs::read_link(path.join("exe")).is_ok_and(|exe| exe == ground.program())
        };
        all.filter(is_one).collect::<Vec<_>>()
    };
    let observers = observers();
    assert!(!observers.is_empty());
    let read = |observer: &Path, file: &str| fs::read_to_string(observer.join(file)).unwrap_or_default();
    for observer in &observers {
        let environment = read(observer, "environ");
        assert!(environment.split_terminator('\0').all(|one| one.starts_with("PATH=")), "{environment}");
        let limits = read(observer, "limits");
        let data = limits.lines().find(|line| line.starts_with("Max data size")).unwrap_or_default();
        assert!(data.is_empty() || !data.contains("unlimited"), "{limits}");
    }
    if ground.is_root() && can_make_groups() {
        let group = format!("/netlab-{}-", lab.name);
        let bounded = |o: &PathBuf| {
            read(o, "cgroup").lines().any(|line| line.contains(&group) && line.ends_with("/_observers"))
        };
        assert!(observers.iter().any(bounded));
    }
}

/// Returns whether root of this machine may create control groups; in some containers it may not.
fn can_make_groups() -> bool {
    let root = Path::new("/sys/fs/cgroup");
    let parent = if root.join("cgroup.controllers").exists() { root.to_owned() } else { root.join("memory") };
    let probe = parent.join(format!("netlab-probe-{}", unique()));
    fs::create_dir(&probe).is_ok() && fs::remove_dir(&probe).is_ok()
}

/// A process of the machine, started by the test.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

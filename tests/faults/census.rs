//! Finds everything of a lab on the machine. Other people have labs, too, so only what is known to be this
//! lab's is counted: by name, label, folder, user, or descent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    docker,
    ground::Ground,
    world::{EMPTY, World},
};

/// How long disappearing objects may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process, identified by pid and start time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: i32,
    began: u64,
    parent: i32,
    pub argv: String,
}

impl Process {
    /// Returns every process that is not a zombie.
    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| Self::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        if fields[0] == "Z" || fields[0] == "X" {
            return None;
        }
        let argv = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let argv = String::from_utf8_lossy(&argv).replace('\0', " ");
        Some(Self { pid, began: fields[19].parse().ok()?, parent: fields[1].parse().ok()?, argv })
    }

    /// Returns whether it was started in a lab's world.
    fn has(&self, mark: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    }

    pub fn is_keeper(&self) -> bool {
        self.argv.contains(" keeper ")
    }

    pub fn is_observer(&self) -> bool {
        self.argv.contains(" observe")
    }

    pub fn is_recorder(&self) -> bool {
        self.argv.contains(" --announce ")
    }

    pub fn is_init(&self) -> bool {
        self.argv.starts_with("/opt/netlab/bin/lab-init")
    }
}

pub struct Census {
    lab: String,
    /// A string in the environment of this world's processes.
    mark: String,
    on_docker: bool,
    /// Every process of the lab ever seen.
    seen: Mutex<BTreeSet<Process>>,
    /// Every bridge that one of its networks ever had.
    bridges: Mutex<BTreeSet<String>>,
}

impl Census {
    pub fn new(ground: &Ground, lab: &str, temporary: &Path) -> Self {
        let on_docker = ground.runtime == "docker";
        Self {
            lab: lab.to_owned(),
            mark: format!("TMPDIR={}", temporary.display()),
            on_docker,
            seen: Mutex::default(),
            bridges: Mutex::default(),
        }
    }

    /// Records what exists now, and returns the processes.
    pub fn look(&self) -> Vec<Process> {
        if self.on_docker {
            let bridges = docker::names("networks", &self.lab, "Id");
            self.bridges.lock().unwrap().extend(bridges.iter().map(|id| format!("br-{}", &id[..12])));
        }
        let all = Process::all();
        let mut found: BTreeMap<i32, &Process> = all
            .iter()
            .filter(|process| process.has(&self.mark))
            .map(|process| (process.pid, process))
            .collect();
        // Each round adds the children of those found.
        loop {
            let before = found.len();
            for process in &all {
                if found.contains_key(&process.parent) {
                    found.insert(process.pid, process);
                }
            }
            if found.len() == before {
                break;
            }
        }
        let found: Vec<_> = found.into_values().cloned().collect();
        self.seen.lock().unwrap().extend(found.iter().cloned());
        found
    }

    /// Fails, with a list of what is left, if that does not disappear.
    pub fn nothing_is_left(&self, world: &World) {
        eventually(|| self.left(world));
    }

    fn left(&self, world: &World) -> Vec<String> {
        let mut left = Vec::new();
        self.look();
        let seen = self.seen.lock().unwrap();
        let alive = seen
            .iter()
            .filter(|process| Process::read(process.pid).is_some_and(|now| now.began == process.began));
        left.extend(alive.map(|process| format!("process {} {}", process.pid, process.argv)));
        left.extend(
            EMPTY.iter().flat_map(|folder| below(&world.at(folder))).map(|path| path.display().to_string()),
        );
        left.retain(|path| !path.ends_with("/image.lock"));
        left.extend(cgroups(&self.lab).into_iter().map(|path| path.display().to_string()));
        left.extend(mounts(&world.at("")));
        left.extend(links(&self.bridges.lock().unwrap()));
        if self.on_docker {
            for kind in ["containers", "networks", "volumes"] {
                left.extend(
                    docker::names(kind, &self.lab, "Name").into_iter().map(|name| format!("{kind}: {name}")),
                );
            }
        }
        left
    }

    /// Ends what is left after a failure.
    pub fn end(&self) {
        for process in self.look() {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

/// Waits until `left` returns nothing, and fails with what it returns otherwise.
pub fn eventually(left: impl Fn() -> Vec<String>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {}", left.join("; "));
        std::thread::yield_now();
    }
}

/// Returns everything below a folder, except folders that may stay empty.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            all.extend(below(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

/// Returns the contents of a folder's files.
pub fn files_in(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = below(folder).into_iter().filter(|path| path.is_file());
    files.map(|path| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

/// Control groups of a lab, of any hierarchy.
fn cgroups(lab: &str) -> Vec<PathBuf> {
    let named = format!("netlab-{lab}-");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    for _ in 0..3 {
        folders =
            folders.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path()).collect();
        folders.retain(|path| path.is_dir() && !path.is_symlink());
        let ours = |path: &&PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&named);
        found.extend(folders.iter().filter(ours).cloned());
    }
    found
}

/// Mounts of the machine below a folder.
fn mounts(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy().trim_end_matches('/').to_owned();
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.lines().filter(|line| line.contains(&folder)).map(|line| format!("mount {line}")).collect()
}

/// Returns the machine's links that are a lab's: those with the names that namespaces use, which must never
/// appear here.
fn links(bridges: &BTreeSet<String>) -> Vec<String> {
    let names = fs::read_dir("/sys/class/net").unwrap().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with("br-lan") || name.starts_with("port") || bridges.contains(name))
        .map(|name| format!("link {name}"))
        .collect()
}

/// Returns how many of the kernel's keys a user has.
pub fn keys(user: u32) -> usize {
    let users = fs::read_to_string("/proc/key-users").unwrap_or_default();
    let line = users.lines().find(|line| line.trim_start().starts_with(&format!("{user}:")));
    let keys = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    keys.unwrap_or(0)
}

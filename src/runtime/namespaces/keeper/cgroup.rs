//! Limits on what a host may use, set with control groups of either version.
//!
//! If a limit cannot be set, e.g. for a user whose session has no groups of its own, the lab comes up without
//! it and says so. Resource limits (`setrlimit`) are no substitute: they apply to one process or one user,
//! not to a host.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
    unistd::Pid,
};

use crate::{
    Error, Result,
    error::Context,
    kernel::sys,
    own,
    runtime::{Lack, Warning},
    topology::{Limits, Plan},
};

const ROOT: &str = "/sys/fs/cgroup";
/// Prefix of the names of labs' groups.
const NAME: &str = "netlab-";
/// Maximum size of a record of groups, in bytes.
const MOST_RECORDED: u64 = 1 << 20;
/// The period over which processor time is allotted, in microseconds.
const PERIOD: u64 = 100_000;
/// The group of the lab's observers; no host can have this name.
const OBSERVERS: &str = "_observers";
/// Memory limit of a lab's observers together, in bytes.
const OBSERVERS_MEMORY: u64 = 1 << 30;
/// How long to wait for the processes of a dead lab to end, in milliseconds.
const PATIENCE: u16 = 5_000;

/// One limit of a group: files to write, in this order.
struct Setting {
    controller: &'static str,
    v1: Vec<Value>,
    v2: Vec<Value>,
}

/// A group's file, the value to write, and whether every kernel has that file.
#[derive(Clone)]
struct Value(&'static str, String, Presence);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Always,
    /// Only if the kernel counts swap; if it does not, memory beyond the limit can be swapped out.
    WithSwap,
}

fn settings(limits: &Limits) -> Vec<Setting> {
    let always = |file, value: String| Value(file, value, Presence::Always);
    let mut wanted = Vec::new();
    if let Some(bytes) = limits.memory {
        wanted.push(memory(bytes));
    }
    if let Some(millis) = limits.millicpus {
        let quota = u64::from(millis) * PERIOD / 1000;
        wanted.push(Setting {
            controller: "cpu",
            v1: vec![always("cpu.cfs_quota_us", quota.to_string())],
            v2: vec![always("cpu.max", format!("{quota} {PERIOD}"))],
        });
    }
    if let Some(pids) = limits.pids {
        let most = vec![always("pids.max", pids.to_string())];
        wanted.push(Setting { controller: "pids", v1: most.clone(), v2: most });
    }
    wanted
}

/// A limit on memory including swap.
fn memory(bytes: u64) -> Setting {
    let bytes = bytes.to_string();
    let always = |file, value: String| Value(file, value, Presence::Always);
    let with_swap = |file, value: String| Value(file, value, Presence::WithSwap);
    Setting {
        controller: "memory",
        // The limit on memory and swap together cannot be lower than that on memory, so memory comes first.
        v1: vec![
            always("memory.limit_in_bytes", bytes.clone()),
            with_swap("memory.memsw.limit_in_bytes", bytes.clone()),
        ],
        v2: vec![always("memory.max", bytes), with_swap("memory.swap.max", "0".into())],
    }
}

/// Writes a limit's files in a group.
fn set(group: &Path, values: &[Value]) -> io::Result<()> {
    for Value(file, value, presence) in values {
        // Unlike `fs::write`, this does not try to create the file.
        let open = || File::options().write(true).open(group.join(file));
        match open().and_then(|mut file| file.write_all(value.as_bytes())) {
            Err(e) if *presence == Presence::WithSwap && is_missing(&e) => {}
            written => written?,
        }
    }
    Ok(())
}

/// Returns whether the kernel has no such limit, or had it disabled at boot.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32)
}

/// The limits that could not be set. They usually share one cause, so they are reported in one line.
#[derive(Default)]
struct MissingLimits {
    hosts: Vec<String>,
    controllers: Vec<&'static str>,
    cause: Option<io::Error>,
}

impl MissingLimits {
    fn add(&mut self, host: &str, controller: &'static str, cause: io::Error) {
        if self.hosts.last().is_none_or(|last| last != host) {
            self.hosts.push(host.to_owned());
        }
        if !self.controllers.contains(&controller) {
            self.controllers.push(controller);
        }
        self.cause.get_or_insert(cause);
    }

    fn warning(self) -> Option<Warning> {
        let who = match self.hosts.as_slice() {
            [] => return None,
            [one] => format!("{one} runs"),
            [first, .., last] if self.hosts.len() > 3 => format!("{first} … {last} run"),
            [others @ .., last] => format!("{} and {last} run", others.join(", ")),
        };
        let what = self.controllers.join(", ");
        let cause = self.cause.map_or(String::new(), |e| format!(": {e}"));
        Some(Warning {
            lacks: Lack::Limit,
            text: format!("{who} without a limit on {what}: control groups{cause}"),
        })
    }
}

/// The control groups of a lab.
#[derive(Default)]
pub struct Cgroups {
    /// The groups created, parents first.
    made: Vec<PathBuf>,
}

/// The groups that limit one host; the children of a process in them are in them, too.
#[derive(Default)]
pub struct Membership(Vec<File>);

impl Membership {
    /// Moves this process into the groups.
    pub fn join(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|mut procs| procs.write_all(b"0"))
    }
}

impl Cgroups {
    /// Creates groups for the plan's hosts with limits. A limit that cannot be set is added to `warnings`.
    /// `record` is where the groups' paths are written first, for clearing them after a crash.
    pub fn build(plan: &Plan, record: &Path, warnings: &mut Vec<Warning>) -> Result<(Self, Vec<Membership>)> {
        let mut groups = Self::default();
        let mut memberships = Vec::new();
        let mut missing = MissingLimits::default();
        for host in &plan.hosts {
            let mut membership = Membership::default();
            for setting in settings(&host.limits) {
                match groups.bound(&plan.lab, &host.name, &setting, record) {
                    Ok(procs) => membership.0.push(procs),
                    Err(e) => missing.add(&host.name, setting.controller, e),
                }
            }
            memberships.push(membership);
        }
        warnings.extend(missing.warning());
        Ok((groups, memberships))
    }

    fn bound(&mut self, lab: &str, host: &str, setting: &Setting, record: &Path) -> io::Result<File> {
        let unified = Path::new(ROOT).join("cgroup.controllers").exists();
        let name = name(lab);
        let parent = if unified { unified_parent()? } else { Path::new(ROOT).join(setting.controller) };
        if !parent.join("cgroup.procs").exists() {
            return Err(io::Error::other(format!("no {} here", parent.display())));
        }
        let lab = parent.join(name);
        let group = lab.join(host);
        if unified {
            enable(&parent, setting.controller)?;
        }
        self.make(&lab, record)?;
        if unified {
            enable(&lab, setting.controller)?;
        }
        self.make(&group, record)?;
        set(&group, if unified { &setting.v2 } else { &setting.v1 })?;
        // With version 1, adding a single thread does not halt every fork on the machine, which takes
        // milliseconds. The process that joins has one thread.
        File::options().write(true).open(group.join(if unified { "cgroup.procs" } else { "tasks" }))
    }

    /// Returns the group of the lab's observers, which limits their memory, creating it on first use. Empty
    /// if it cannot be created: each observer also limits its own memory.
    pub fn observers(&mut self, lab: &str, record: &Path) -> Membership {
        let bound = self.bound(lab, OBSERVERS, &memory(OBSERVERS_MEMORY), record);
        Membership(bound.into_iter().collect())
    }

    fn make(&mut self, group: &Path, record: &Path) -> io::Result<()> {
        if !self.made.iter().any(|known| known == group) {
            write_down(group, record)?;
            fs::create_dir(group)?;
            self.made.push(group.to_owned());
        }
        Ok(())
    }

    /// Returns the groups that a dead keeper recorded.
    pub fn recorded(record: &Path) -> Result<Self> {
        let what = || format!("cannot read {}", record.display());
        let text = match own::read(record, MOST_RECORDED) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.or_lab(what)?,
        };
        let text = String::from_utf8_lossy(&text);
        // An incomplete last line is from a keeper that died before it created that group.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let made: Vec<PathBuf> = whole.lines().map(PathBuf::from).collect();
        match made.iter().find(|path| !is_ours(path)) {
            Some(other) => Err(Error::lab(what())
                .caused_by(format!("{} is not a control group of a lab", other.display()))
                .hint(format!("remove {} if no lab needs it", record.display()))),
            None => Ok(Self { made }),
        }
    }

    /// Removes the groups and kills the processes still in them. Returns descriptions of what is left.
    pub fn remove(self) -> Vec<String> {
        let mut left = Vec::new();
        for group in self.made.iter().rev() {
            match remove(group) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    left.push(format!("control group {}: {e}", group.display()));
                }
                _ => {}
            }
        }
        left
    }
}

/// Records a group's name before the group is created, so that none is forgotten. Earlier records stay.
fn write_down(group: &Path, record: &Path) -> io::Result<()> {
    own::append(record)?.write_all(format!("{}\n", group.display()).as_bytes())
}

/// Finds the groups of labs of that name, whoever owns them, in the file system.
pub fn of_lab(lab: &str) -> Vec<PathBuf> {
    let unified = Path::new(ROOT).join("cgroup.controllers").exists();
    let parents = if unified {
        unified_parent().into_iter().collect()
    } else {
        vec![Path::new(ROOT).join("pids"), Path::new(ROOT).join("memory")]
    };
    let prefix = format!("{NAME}{lab}-");
    let is_its = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(&prefix).is_some_and(|pid| pid.parse::<u32>().is_ok())
    };
    let entries = parents.iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_its).collect()
}

/// The name of this lab's group.
fn name(lab: &str) -> String {
    format!("{NAME}{lab}-{}", std::process::id())
}

/// Returns whether a path is one that [`Cgroups::build`] creates: `…/netlab-LAB-PID`, or a host's directly
/// below that. The group's processes will be killed and the group removed, so nothing else is accepted.
fn is_ours(path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(ROOT) else { return false };
    let parts: Option<Vec<&str>> = below
        .components()
        .map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
        .collect();
    let is_lab = |name: &str| {
        let number = name.strip_prefix(NAME).and_then(|rest| rest.rsplit_once('-'));
        number.is_some_and(|(lab, pid)| !lab.is_empty() && pid.parse::<u32>().is_ok())
    };
    parts.is_some_and(|parts| parts.iter().rev().take(2).any(|part| is_lab(part)))
}

/// Returns where groups of version 2 can be created: for root at the root; for a user beside this process's
/// group, which the user's service manager owns.
fn unified_parent() -> io::Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(ROOT.into());
    }
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let own = text.lines().find_map(|l| l.strip_prefix("0::/")).unwrap_or_default();
    let own = Path::new(ROOT).join(own);
    Ok(own.parent().map_or_else(|| ROOT.into(), Path::to_owned))
}

fn enable(group: &Path, controller: &str) -> io::Result<()> {
    fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))
}

/// Removes a group and its subgroups, whoever created them, and kills the processes in them.
fn remove(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    empty(group);
    fs::remove_dir(group)
}

/// Kills the processes of a group and waits until they are gone.
fn empty(group: &Path) {
    let members = || fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let number = |line: &str| line.parse().ok().map(Pid::from_raw);
    let opened: Vec<(Pid, OwnedFd)> = members()
        .lines()
        .filter_map(number)
        .filter_map(|pid| sys::pidfd_open(pid).ok().map(|process| (pid, process)))
        .collect();
    // The pid may have been reused before the pidfd was opened.
    let still: HashSet<Pid> = members().lines().filter_map(number).collect();
    for (_, process) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
        // If it cannot be killed, removing the group fails and says so.
        let _ = sys::kill(process, Signal::SIGKILL);
        let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(PATIENCE));
    }
}

/// Removes the groups that a dead keeper left.
pub fn clear(record: &Path) -> Result<()> {
    let left = Cgroups::recorded(record)?.remove();
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")).or_lab(|| "not everything could be removed") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_labs_groups_is_taken_from_a_record() {
        for ours in [
            "/sys/fs/cgroup/memory/netlab-a-b-12",
            "/sys/fs/cgroup/memory/netlab-a-12/server",
            "/sys/fs/cgroup/user.slice/user-1000.slice/netlab-x-7/client1",
        ] {
            assert!(is_ours(Path::new(ours)), "{ours}");
        }
        for other in [
            "",
            "/",
            "/home/ana/netlab-x-7",
            "netlab-x-7",
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/memory",
            "/sys/fs/cgroup/memory/netlab-x-7/../docker",
            "/sys/fs/cgroup/memory/docker/server",
            "/sys/fs/cgroup/memory/netlab-x/server",
            "/sys/fs/cgroup/memory/netlab--7",
            "/sys/fs/cgroup/netlab-x-7/a/b",
        ] {
            assert!(!is_ours(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn a_record_grows_and_one_that_names_something_else_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("cgroups");
        assert!(Cgroups::recorded(&record).unwrap().made.is_empty(), "no record, no groups");
        let group = PathBuf::from("/sys/fs/cgroup/pids/netlab-no-such-lab-1");
        write_down(&group, &record).unwrap();
        write_down(&group.join("server"), &record).unwrap();
        assert_eq!(Cgroups::recorded(&record).unwrap().made, [group.clone(), group.join("server")]);
        clear(&record).unwrap();

        // As left by a keeper that is killed while writing.
        own::append(&record).unwrap().write_all(b"/sys/fs/cgroup/pi").unwrap();
        assert_eq!(Cgroups::recorded(&record).unwrap().made.len(), 2);

        let victim = folder.path().join("netlab-x-7");
        fs::create_dir(&victim).unwrap();
        fs::write(&record, format!("{}\n{}\n", group.display(), victim.display())).unwrap();
        let error = clear(&record).unwrap_err();
        assert!(error.to_string().contains("cannot read") && victim.exists(), "{error}");
    }

    #[test]
    fn the_limit_of_memory_counts_swap() {
        let limits = Limits { memory: Some(64 << 20), ..Limits::default() };
        let [memory] = settings(&limits).try_into().ok().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let written = |values: &[Value], files: &[&str]| {
            let group = tempfile::tempdir_in(folder.path()).unwrap();
            files.iter().for_each(|file| fs::write(group.path().join(file), "").unwrap());
            set(group.path(), values).unwrap();
            files.iter().map(|file| fs::read_to_string(group.path().join(file)).unwrap()).collect::<Vec<_>>()
        };
        let bytes = (64 << 20).to_string();
        let v1 = written(&memory.v1, &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]);
        assert_eq!(v1, [bytes.as_str(), &bytes]);
        assert_eq!(written(&memory.v2, &["memory.max", "memory.swap.max"]), [bytes.as_str(), "0"]);
    }

    #[test]
    fn a_kernel_that_does_not_count_swap_has_the_rest_of_the_limit() {
        let nowhere = Path::new("/nowhere");
        assert!(set(nowhere, &[Value("a", "1".into(), Presence::WithSwap)]).is_ok());
        assert!(set(nowhere, &[Value("a", "1".into(), Presence::Always)]).is_err());
    }
}

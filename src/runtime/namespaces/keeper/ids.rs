//! Maps the users of a lab's hosts to users of the machine: to unused ids, wherever possible.
//!
//! A lab has its own user namespace. If root starts it, the namespace maps the hosts' users to a range of ids
//! that no user of the machine has, and the keeper stays outside. If an ordinary user starts it, the keeper
//! is inside; the hosts' users are mapped to the user's range in `/etc/subuid`, or, without one, there is
//! only root, mapped to the user. Root of a host is also mapped to the user if the lab gives hosts write
//! access to one of the user's own folders (as in Podman): what root of a host creates there then belongs to
//! the user.

use std::{
    fs::{self, File},
    io::{PipeWriter, Read, Write, pipe},
    os::fd::BorrowedFd,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns, unshare},
    sys::{
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Gid, Pid, Uid, getegid, geteuid, getpid},
};

use crate::{
    Error, Result,
    digest::sha256,
    error::Context,
    kernel::sys,
    privileges::{STUDENT_ID, become_user},
    runtime::owner,
    topology::Plan,
};

/// Number of ids of a lab's hosts: 16 bits, as programs expect.
const COUNT: u32 = 1 << 16;
/// Start of the first range for root's labs: above what distributions give to users and systemd-nspawn to
/// containers, and below what is negative where an id is read as a signed number.
const FIRST: u32 = 0x7001_0000;
/// Number of ranges from there on.
const RANGES: u32 = 0x0ff0;

/// The users of a lab's hosts.
pub struct Ids {
    /// Their user namespace, unless this process is in it.
    namespace: Option<File>,
    /// The hosts' user 0, in this process's user namespace.
    root: u32,
    /// Whether there are users other than root.
    many: bool,
}

impl Ids {
    /// Creates the lab's user namespace and moves this process to where it may create the lab's other
    /// namespaces: its network namespace is then the lab's switch. `folder` is the lab's own folder.
    pub fn claim(plan: &Plan, folder: &Path) -> Result<Self> {
        let own = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        if geteuid().is_root() && is_initial(&own) {
            return Self::of_root(folder);
        }
        // Root of a container is already mapped to another user of the machine, and has no other ids to give.
        let many = if geteuid().is_root() { mapped(&own) > STUDENT_ID } else { enter_as_user(plan)? };
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).map_err(|e| no_namespaces(e, true))?;
        Ok(Self { namespace: None, root: 0, many })
    }

    fn of_root(folder: &Path) -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| no_namespaces(e, false))?;
        // Two labs with the same range are still in different namespaces.
        let place = sha256(folder.as_os_str().as_encoded_bytes());
        let range = u32::from_str_radix(&place[..8], 16).unwrap_or_default() % RANGES;
        let root = FIRST + range * COUNT;
        let namespace = user_namespace(&format!("0 {root} {COUNT}"), &format!("0 {root} {COUNT}"))?;
        Ok(Self { namespace: Some(namespace), root, many: true })
    }

    /// Makes this process root of the lab's hosts, irrevocably.
    pub fn become_root(&self) -> nix::Result<()> {
        if let Some(namespace) = &self.namespace {
            setns(namespace, CloneFlags::CLONE_NEWUSER)?;
        }
        become_user(Uid::from_raw(0), Gid::from_raw(0))
    }

    /// Moves this process into all namespaces of the host with this PID 1, as its root; its children are then
    /// born into the host's PID namespace.
    pub fn enter_host(&self, init: BorrowedFd<'_>) -> nix::Result<()> {
        let all = CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWNET;
        // The user namespace comes last: inside it, this process may not enter the other namespaces of an
        // untraceable PID 1.
        setns(init, all)?;
        self.become_root()
    }

    /// Returns the hosts' user `student` in this process's user namespace; `None` if hosts have only root.
    pub fn student(&self) -> Option<u32> {
        self.many.then_some(self.root + STUDENT_ID)
    }

    /// Returns whether a mount can show one user's files as another's to hosts.
    pub fn can_map_mounts(&self) -> bool {
        self.namespace.is_some()
    }

    /// Creates a user namespace for an idmapped mount (mount_setattr(2)): files of `owner` appear to belong
    /// to the hosts' user `shown`, and files which that user creates belong to `owner`.
    pub fn mount_map(&self, owner: (u32, u32), shown: u32) -> Result<File> {
        let shown = self.root + shown;
        user_namespace(&format!("{} {shown} 1", owner.0), &format!("{} {shown} 1", owner.1))
    }
}

/// Returns whether this is the map of the initial user namespace, in which every id is its own.
fn is_initial(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Returns the number of ids in a map.
fn mapped(map: &str) -> u32 {
    let counts = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok());
    counts.fold(0, u32::saturating_add)
}

/// Creates an empty user namespace with these maps (user_namespaces(7)). For root.
fn user_namespace(uids: &str, gids: &str) -> Result<File> {
    let (mut ends, keeper) = pipe().or_lab(|| "cannot make a pipe")?;
    let mut keeper = Some(keeper);
    let child = sys::clone(CloneFlags::CLONE_NEWUSER, || {
        // Lives until it is killed below, or until the keeper's end of the pipe closes with the keeper: a child that
        // outlives a killed keeper would hold its lock.
        keeper = None;
        let _ = ends.read(&mut [0]);
        0
    })
    .map_err(|e| no_namespaces(e, false))?;
    let made = fs::write(format!("/proc/{child}/uid_map"), uids)
        .and_then(|()| fs::write(format!("/proc/{child}/gid_map"), gids))
        .and_then(|()| File::open(format!("/proc/{child}/ns/user")));
    // It is an unreaped child of this process, so the pid cannot have been reused.
    let _ = kill(child, Signal::SIGKILL).and_then(|()| waitpid(child, None).map(drop));
    drop(keeper);
    made.or_lab(|| "cannot map the hosts' users to others of the machine")
}

/// Moves this process into an ordinary user's new user namespace. Returns whether that has more than one
/// user.
fn enter_as_user(plan: &Plan) -> Result<bool> {
    let (uid, gid) = (geteuid(), getegid());
    let mapper = Mapper::start(plan, uid, gid)?;
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| no_namespaces(e, true))?;
    if mapper.is_some_and(Mapper::map) {
        return Ok(true);
    }
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text).or_lab(|| format!("cannot set {file}"))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))?;
    Ok(false)
}

/// A process outside the new user namespace, which has newuidmap(1) and newgidmap(1) map a range of ids into
/// it: those programs have the right to.
struct Mapper {
    process: Pid,
    begin: PipeWriter,
}

impl Mapper {
    /// Starts it; `None` if the user has no range or the machine lacks those programs.
    fn start(plan: &Plan, uid: Uid, gid: Gid) -> Result<Option<Self>> {
        let Some((uids, gids)) = sub_ids("/etc/subuid", uid).zip(sub_ids("/etc/subgid", uid)) else {
            return Ok(None);
        };
        if !MAPPERS.iter().all(|program| Path::new(program).exists()) {
            return Ok(None);
        }
        let shows_folders = plan.hosts.iter().flat_map(|host| &host.mounts).any(|m| m.copy.is_none());
        let uids = lines(shows_folders, uid.as_raw(), uids);
        let gids = lines(shows_folders, gid.as_raw(), gids);
        let keeper = getpid();
        let (mut ready, begin) = pipe().or_lab(|| "cannot make a pipe")?;
        let mut begin = Some(begin);
        let process = sys::clone(CloneFlags::empty(), || {
            // Otherwise the keeper's end would not be the last, and its closing would go unnoticed.
            begin = None;
            let is_entered = ready.read(&mut [0]).is_ok_and(|n| n == 1);
            let mapped = is_entered && map(MAPPERS[0], keeper, &uids) && map(MAPPERS[1], keeper, &gids);
            isize::from(!mapped)
        });
        let process = process.or_lab(|| "cannot map the hosts' users")?;
        Ok(begin.map(|begin| Self { process, begin }))
    }

    /// Maps the ids into the namespace that the keeper is in by now. Returns whether that worked.
    fn map(mut self) -> bool {
        let began = self.begin.write_all(&[1]);
        drop(self.begin);
        let ended = waitpid(self.process, None);
        began.is_ok() && matches!(ended, Ok(WaitStatus::Exited(_, 0)))
    }
}

/// The programs that map users and groups.
const MAPPERS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

/// The map: either root of the hosts to the user and all others to the range; or all to the range, and the
/// user above.
fn lines(root_is_user: bool, own: u32, range: u32) -> Vec<String> {
    let lines =
        if root_is_user { [0, own, 1, 1, range, COUNT - 1] } else { [0, range, COUNT, COUNT, own, 1] };
    lines.iter().map(u32::to_string).collect()
}

/// Runs one of those programs to map a process's ids.
fn map(program: &str, process: Pid, lines: &[String]) -> bool {
    let mut command = Command::new(program);
    command.arg(process.to_string()).args(lines).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns the start of the user's first range that is long enough, from a file in the format of
/// `/etc/subuid` (subuid(5)).
fn sub_ids(file: &str, user: Uid) -> Option<u32> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    first_range(&fs::read_to_string(file).ok()?, owner::name_of(&accounts, user), user)
}

fn first_range(text: &str, name: &str, user: Uid) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let is_own = fields
            .next()
            .is_some_and(|owner| owner == user.to_string() || (owner == name && !name.is_empty()));
        let start: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        (is_own && count >= COUNT).then_some(start)
    })
}

fn no_namespaces(errno: Errno, user: bool) -> Error {
    let set = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).map(|v| v.trim().to_owned()).ok();
    let error = Error::lab("cannot make namespaces").caused_by(errno);
    if set("user/max_user_namespaces").as_deref() == Some("0") {
        return error.hint("hosts need user namespaces: `sudo sysctl user.max_user_namespaces=10000`");
    }
    if !user {
        return error.hint("root of a container needs `--privileged` for that");
    }
    if set("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return error.hint(
            "this system keeps users from making namespaces; run as root, or \
             `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
        );
    }
    if set("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return error.hint("run as root, or `sudo sysctl kernel.unprivileged_userns_clone=1`");
    }
    error.hint("run as root; if this is a container, start it with `--privileged`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_users_own_and_long_enough() {
        let text = "root:100000:65536\nana:165536:1000\nana:300000:65536\n4545:500000:65536\nana:1:x\n";
        let of = |name, uid| first_range(text, name, Uid::from_raw(uid));
        assert_eq!(of("ana", 1000), Some(300_000));
        assert_eq!(of("", 4545), Some(500_000));
        assert_eq!(of("bob", 1001), None);
    }

    #[test]
    fn a_containers_root_is_told_from_the_machines() {
        assert!(is_initial("         0          0 4294967295\n"));
        let container = "         0       1000          1\n         1     100000      65536\n";
        assert!(!is_initial(container));
        assert_eq!(mapped(container), 65537);
    }

    #[test]
    fn the_ranges_of_root_stay_below_what_is_negative() {
        let last = FIRST + (RANGES - 1) * COUNT + (COUNT - 1);
        assert!(i32::try_from(last).is_ok());
    }
}

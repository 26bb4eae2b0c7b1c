//! Who the users of a lab's hosts are on the machine: nobody, wherever that can be had.
//!
//! A lab lives in a user namespace of its own. Started by root, it maps the hosts' users to a range of ids
//! that no user of the machine has, and the keeper stays outside. Started by an ordinary user, the keeper is
//! in it; the hosts' users are those of the user's range in `/etc/subuid`, or, without one, there is but
//! root, who is the user. Root of a host is the user also where the lab shows one of the user's own folders
//! to be written to, as Podman has it: what root of a host makes there then belongs to the user.

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
    unistd::{Gid, Pid, Uid, getegid, geteuid, getpid, pause},
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

/// How many ids a lab's hosts have: as many as 16 bits count, which programs expect.
const COUNT: u32 = 1 << 16;
/// The first range for labs of root: above what distributions give to users and systemd-nspawn to
/// containers, and below what is negative where an id is taken for a signed number.
const FIRST: u32 = 0x7001_0000;
/// How many ranges there are from there on.
const RANGES: u32 = 0x0ff0;

/// The users of a lab's hosts.
pub struct Ids {
    /// Their user namespace, where this process is not in it.
    namespace: Option<File>,
    /// The hosts' user 0, as numbered here.
    root: u32,
    /// Whether there are others than root.
    many: bool,
}

impl Ids {
    /// Makes the lab's user namespace, and puts this process where it may make all its others: the network
    /// namespace that it is in then is the lab's switch. `folder` is the lab's own.
    pub fn claim(plan: &Plan, folder: &Path) -> Result<Self> {
        let own = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        if geteuid().is_root() && is_initial(&own) {
            return Self::of_root(folder);
        }
        // Root of a container is somebody else on the machine already, and has no other ids to give.
        let many = if geteuid().is_root() { mapped(&own) > STUDENT_ID } else { enter_as_user(plan)? };
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).map_err(|e| no_namespaces(e, true))?;
        Ok(Self { namespace: None, root: 0, many })
    }

    fn of_root(folder: &Path) -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| no_namespaces(e, false))?;
        // Two labs that meet in one range are still in namespaces of their own.
        let place = sha256(folder.as_os_str().as_encoded_bytes());
        let range = u32::from_str_radix(&place[..8], 16).unwrap_or_default() % RANGES;
        let root = FIRST + range * COUNT;
        let namespace = user_namespace(&format!("0 {root} {COUNT}"), &format!("0 {root} {COUNT}"))?;
        Ok(Self { namespace: Some(namespace), root, many: true })
    }

    /// Makes this process root of the lab's hosts. There is no way back.
    pub fn become_root(&self) -> nix::Result<()> {
        if let Some(namespace) = &self.namespace {
            setns(namespace, CloneFlags::CLONE_NEWUSER)?;
        }
        become_user(Uid::from_raw(0), Gid::from_raw(0))
    }

    /// Puts this process into all namespaces of the host with this PID 1, as its root; what it starts is
    /// born into the host's PID namespace.
    pub fn enter_host(&self, init: BorrowedFd<'_>) -> nix::Result<()> {
        let all = CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWNET;
        // The user namespace last: in it there is no right to the others of a PID 1 that is not to be traced.
        setns(init, all)?;
        self.become_root()
    }

    /// The hosts' user `student`, as numbered here; none where hosts have root alone.
    pub fn student(&self) -> Option<u32> {
        self.many.then_some(self.root + STUDENT_ID)
    }

    /// Whether what belongs to one user of the machine can be shown to hosts as another's.
    pub fn can_map_mounts(&self) -> bool {
        self.namespace.is_some()
    }

    /// A user namespace for an idmapped mount (mount_setattr(2)): it shows what belongs to `owner` as the
    /// hosts' user `shown`, and what that makes belongs to `owner`.
    pub fn mount_map(&self, owner: (u32, u32), shown: u32) -> Result<File> {
        let shown = self.root + shown;
        user_namespace(&format!("{} {shown} 1", owner.0), &format!("{} {shown} 1", owner.1))
    }
}

/// Whether that map is the first user namespace's, in which every id is its own.
fn is_initial(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// How many ids a map has.
fn mapped(map: &str) -> u32 {
    let counts = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok());
    counts.fold(0, u32::saturating_add)
}

/// A user namespace with these maps (user_namespaces(7)), and nobody in it. For root.
fn user_namespace(uids: &str, gids: &str) -> Result<File> {
    let child = sys::clone(CloneFlags::CLONE_NEWUSER, || {
        pause();
        0
    })
    .map_err(|e| no_namespaces(e, false))?;
    let made = fs::write(format!("/proc/{child}/uid_map"), uids)
        .and_then(|()| fs::write(format!("/proc/{child}/gid_map"), gids))
        .and_then(|()| File::open(format!("/proc/{child}/ns/user")));
    // It is a child of this process and not yet waited for, so the number is its own.
    let _ = kill(child, Signal::SIGKILL).and_then(|()| waitpid(child, None).map(drop));
    made.or_lab(|| "cannot map the hosts' users to others of the machine")
}

/// Puts this process into a user namespace of its own, of an ordinary user. Says whether it has more than one
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

/// A process outside of the new user namespace, which has newuidmap(1) and newgidmap(1) map a range of ids
/// into it: they have the right to.
struct Mapper {
    process: Pid,
    begin: PipeWriter,
}

impl Mapper {
    /// None where the user has no range, or the machine not those programs.
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
            // Or the keeper's end would not be the last, and its closing not be noticed.
            begin = None;
            let is_entered = ready.read(&mut [0]).is_ok_and(|n| n == 1);
            let mapped = is_entered && map(MAPPERS[0], keeper, &uids) && map(MAPPERS[1], keeper, &gids);
            isize::from(!mapped)
        });
        let process = process.or_lab(|| "cannot map the hosts' users")?;
        Ok(begin.map(|begin| Self { process, begin }))
    }

    /// Has the ids mapped into the namespace that the keeper is in by now. Says whether they were.
    fn map(mut self) -> bool {
        let began = self.begin.write_all(&[1]);
        drop(self.begin);
        let ended = waitpid(self.process, None);
        began.is_ok() && matches!(ended, Ok(WaitStatus::Exited(_, 0)))
    }
}

/// The programs that map users and groups.
const MAPPERS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

/// What is mapped: root of the hosts to the user and all others to the range; or all to the range, and the
/// user above.
fn lines(root_is_user: bool, own: u32, range: u32) -> Vec<String> {
    let lines =
        if root_is_user { [0, own, 1, 1, range, COUNT - 1] } else { [0, range, COUNT, COUNT, own, 1] };
    lines.iter().map(u32::to_string).collect()
}

/// Has one of those programs map ids of a process.
fn map(program: &str, process: Pid, lines: &[String]) -> bool {
    let mut command = Command::new(program);
    command.arg(process.to_string()).args(lines).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The start of the user's first range that is long enough, in a file as `/etc/subuid` (subuid(5)).
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
        return error.hint("hosts live in user namespaces: `sudo sysctl user.max_user_namespaces=10000`");
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
    error.hint("run as root; in a container, start that with `--privileged`")
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

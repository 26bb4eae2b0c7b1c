//! A host's file system: the machine's programs, read-only, and everything else its own.
//!
//! A host's mounts are created in three steps. The keeper, which can reach the machine's files, creates the
//! mounts without attaching them ([`sources`]). Once per lab, the hosts' root builds a *template* of them in
//! a separate mount namespace: everything that hosts share, and nothing else of the machine. Each host starts
//! from a copy of that namespace and puts its own root over the template. So a host never has access to the
//! machine's other folders, not even for a moment, and its copy of the mounts is small.

mod copies;
mod detached;
mod etc;
mod sources;

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::{chdir, chroot, pivot_root},
};

use super::{child, ids::Ids};
use crate::{
    Error, Result,
    error::Context,
    kernel::sys,
    privileges::{STUDENT, STUDENT_ID},
    runtime::Warning,
    topology::{HostPlan, Plan},
};
use sources::{Source, Sources};

/// A host's own folders with their modes, parents first.
const OWN: [(&str, u32); 12] = [
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// Where the template is built: any folder that everybody may enter. Its contents are hidden there.
const ANYWHERE: &str = "/usr";
/// In the template: where a host builds its root before it moves there.
const NEW: &str = "/new";
/// In the template: the machine's own file systems. Others of their type can be mounted only where these are
/// visible (mount_namespaces(7)); a host unmounts them once it has its own.
const SYSTEM: [&str; 2] = ["proc", "sys"];

/// The template that hosts start from.
pub struct RootTemplate {
    /// Its mount namespace.
    namespace: File,
    folders: Vec<&'static str>,
    links: Vec<(&'static str, PathBuf)>,
    /// Whether hosts have users other than root.
    has_student: bool,
}

impl RootTemplate {
    /// Builds the template, in a new mount namespace. `programs` is the folder of netlab's programs. What
    /// hosts have to do without is added to `warnings`.
    pub fn build(plan: &Plan, programs: &Path, ids: &Ids, warnings: &mut Vec<Warning>) -> Result<Self> {
        let sources = Sources::prepare(plan, programs, ids, warnings)?;
        let ((), namespace) = child::run("build the hosts' files", || {
            ids.become_root().or_lab(|| "cannot become the hosts' root")?;
            unshare(CloneFlags::CLONE_NEWNS).or_lab(|| "cannot make a mount namespace")?;
            let namespace =
                File::open("/proc/self/ns/mnt").or_lab(|| "cannot find the hosts' mount namespace")?;
            build_here(plan, &sources)?;
            Ok(((), Some(namespace.into())))
        })?;
        let namespace =
            namespace.ok_or_else(|| Error::lab("the hosts' mount namespace was not handed over"))?;
        let Sources { folders, links, .. } = sources;
        Ok(Self { namespace: namespace.into(), folders, links, has_student: ids.student().is_some() })
    }

    /// Moves this process into the template's mount namespace.
    pub fn go(&self) -> Result<()> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNS).or_lab(|| "cannot enter the hosts' mount namespace")
    }

    /// Gives this process, host number `n` of the plan, its own root. It must be PID 1 of a new PID
    /// namespace, in a copy of the template's mount namespace.
    pub fn enter(&self, host: &HostPlan, n: usize) -> Result<()> {
        tmpfs(Path::new(NEW), &bounded("mode=755", host.limits.disk))?;
        chdir(NEW).or_lab(|| "cannot enter the host's root")?;
        for (name, mode) in OWN {
            folder(name, mode)?;
        }
        self.make_home()?;
        symlink("/run", "var/run").or_lab(|| "cannot make the link var/run")?;
        for (name, target) in &self.links {
            symlink(target, name).or_lab(|| format!("cannot make the link {name}"))?;
        }
        for name in &self.folders {
            folder(name, 0o755)?;
            bind(&Path::new("/").join(name), Path::new(name), MsFlags::MS_REC)?;
        }
        bind(&Path::new("/").join(hostname_file(n)), Path::new("etc/hostname"), MsFlags::empty())?;
        mount_system(host.limits.disk)?;
        mount_folders(host, n)?;
        for name in SYSTEM {
            let seen = format!("/.{name}");
            umount2(seen.as_str(), MntFlags::MNT_DETACH).or_lab(|| format!("cannot unmount {seen}"))?;
        }
        mount_at(Some(Path::new(".")), Path::new("/"), None, MsFlags::MS_MOVE, None)?;
        chroot(".").and_then(|()| chdir("/")).or_lab(|| "cannot enter the host's root")
    }

    fn make_home(&self) -> Result<()> {
        if !self.has_student {
            return Ok(());
        }
        let home = format!("home/{STUDENT}");
        folder(&home, 0o755)?;
        chown(&home, Some(STUDENT_ID), Some(STUDENT_ID))
            .or_lab(|| format!("cannot change the owner of {home}"))
    }
}

/// Attaches the lab's mounts in the current folder, and makes that the root.
fn build_here(plan: &Plan, sources: &Sources) -> Result<()> {
    // Mounts made here must not appear outside, nor those made outside appear here.
    mount_at(None, Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    tmpfs(Path::new(ANYWHERE), "mode=755")?;
    chdir(ANYWHERE).or_lab(|| format!("cannot enter {ANYWHERE}"))?;
    for name in ["opt", "dev", "dev/pts", "dev/shm"] {
        folder(name, 0o755)?;
    }
    for (name, target) in &sources.links {
        symlink(target, name).or_lab(|| format!("cannot make the link {name}"))?;
    }
    for (place, source) in &sources.mounts {
        match source {
            Source::Mount(mount) => mount.attach(place)?,
            Source::Same(other) => bind_like(other, place)?,
        }
    }
    for (name, target) in sources::DEVICE_LINKS {
        symlink(target, name).or_lab(|| format!("cannot make the link {name}"))?;
    }
    for (n, host) in plan.hosts.iter().enumerate() {
        let text = format!("{}\n", host.name);
        fs::write(hostname_file(n), text).or_lab(|| "cannot write a host's name")?;
    }
    folder(&NEW[1..], 0o755)?;
    leave_machine()?;
    sys::read_only(Path::new("/"), false).or_lab(|| "cannot make the hosts' root read-only")
}

/// Mounts the kernel's file systems for this host.
fn mount_system(disk: Option<u64>) -> Result<()> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_at(None, Path::new("proc"), Some("proc"), plain, None)?;
    // Some containers hide part of /sys, and then it cannot be mounted again. Labs do not need it.
    let _ = mount_at(None, Path::new("sys"), Some("sysfs"), plain | MsFlags::MS_RDONLY, None);
    let terminals = Some("newinstance,ptmxmode=0666,mode=620");
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount_at(None, Path::new("dev/pts"), Some("devpts"), quiet, terminals)?;
    tmpfs(Path::new("dev/shm"), &bounded("mode=1777", disk))
}

/// Mounts the machine's folders that the host is to see.
fn mount_folders(host: &HostPlan, n: usize) -> Result<()> {
    for (m, wanted) in host.mounts.iter().enumerate() {
        let target = wanted.target.strip_prefix("/").unwrap_or(&wanted.target);
        // First as the student sees it, and over that as root does. To run a program as the student, the
        // upper mount is removed ([`reveal`]).
        for place in [students_point(n, m), mount_point(n, m)] {
            let source = Path::new("/").join(place);
            if source.exists() {
                bind_like(&source, target).map_err(|e| {
                    e.hint("a host's /usr and /etc are the machine's; mount elsewhere, e.g. under /root")
                })?;
            }
        }
    }
    Ok(())
}

/// Moves this process into a new mount namespace that shows the host's folders as the student sees them.
pub fn reveal(ids: &Ids, host: &HostPlan) -> Result<()> {
    let mapped: Vec<_> = host.mounts.iter().filter(|m| m.copy.is_none()).collect();
    if mapped.is_empty() || !ids.can_map_mounts() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS).or_lab(|| "cannot make a mount namespace")?;
    for mount in mapped {
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        umount2(&mount.target, flags)
            .or_lab(|| format!("cannot show {} to the student", mount.target.display()))?;
    }
    Ok(())
}

/// Makes the current folder the root, and detaches everything that was there before.
fn leave_machine() -> Result<()> {
    pivot_root(".", ".").or_lab(|| "cannot change the root")?;
    umount2(".", MntFlags::MNT_DETACH).or_lab(|| "cannot detach the machine's folders")?;
    chdir("/").or_lab(|| "cannot enter the new root")
}

/// In the template: the file that will be a host's `/etc/hostname`.
fn hostname_file(host: usize) -> PathBuf {
    format!("hostname{host}").into()
}

/// In the template: where a folder for a host is kept.
fn mount_point(host: usize, mount: usize) -> PathBuf {
    format!("mount{host}-{mount}").into()
}

/// In the template: the same, as the host's student is to see it.
fn students_point(host: usize, mount: usize) -> PathBuf {
    format!("student{host}-{mount}").into()
}

fn folder(name: &str, mode: u32) -> Result<()> {
    let make = || {
        DirBuilder::new().mode(mode).create(name)?;
        // The umask takes bits from the mode above.
        fs::set_permissions(name, Permissions::from_mode(mode))
    };
    make().or_lab(|| format!("cannot make the folder {name}"))
}

fn tmpfs(target: &Path, options: &str) -> Result<()> {
    mount_at(None, target, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
}

/// Mount options of a file system that holds at most this many bytes, with a proportional number of files.
fn bounded(options: &str, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{options},size={bytes},nr_inodes={}", inodes(bytes)),
        None => options.to_owned(),
    }
}

/// Returns how many files a file system of that size may have.
fn inodes(bytes: u64) -> u64 {
    1024 + bytes / 4096
}

/// Creates a file or folder as a mount point, if there is none.
fn make_place(place: &Path, is_folder: bool) -> io::Result<()> {
    if is_folder {
        return fs::create_dir_all(place);
    }
    place.parent().map_or(Ok(()), fs::create_dir_all)?;
    match File::create_new(place) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// Bind-mounts a file or folder, creating the mount point.
fn bind_like(source: &Path, target: &Path) -> Result<()> {
    let what = || format!("cannot show {} to a host", source.display());
    make_place(target, fs::metadata(source).or_lab(what)?.is_dir()).or_lab(what)?;
    bind(source, target, MsFlags::MS_REC)
}

fn bind(source: &Path, target: &Path, flags: MsFlags) -> Result<()> {
    mount_at(Some(source), target, None, flags | MsFlags::MS_BIND, None)
}

fn mount_at(
    source: Option<&Path>,
    target: &Path,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<()> {
    mount(source.or(kind.map(Path::new)), target, kind, flags, options)
        .or_lab(|| format!("cannot mount {} at {}", kind.unwrap_or("it"), target.display()))
}

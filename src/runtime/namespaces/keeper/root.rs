//! What a host sees of files: the machine's programs read-only, and all else of its own.
//!
//! A host's mounts are made in two steps. Once a lab, a *stage* is built in a mount namespace of its
//! own: everything that hosts share, and nothing else of the machine. Each host starts from a copy of
//! that namespace and puts a root of its own over the stage. So a host never has the machine's other
//! folders, not even for a moment, and its copy of the mounts is short.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::{chdir, chroot, pivot_root},
};

use super::super::sys;
use crate::{
    Error, Result,
    error::Context,
    topology::{HostPlan, Plan},
};

/// Where hosts find our programs.
pub const PROGRAMS: &str = "/opt/netlab/bin";
/// A host's PID 1.
pub const INIT: &str = "lab-init";
/// Our programs, as found beside `netlab`. All but PID 1 may be missing.
const OURS: [&str; 5] = [INIT, "tcpechod", "tcpecho", "processes", "threads"];

/// The machine's folders that hosts share, where it has them. A link is made anew as a link: on most
/// systems `/bin` is one to `/usr/bin`.
const SHARED: [&str; 10] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "nix", "gnu"];

/// Device files that hosts share.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

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

/// Files under `/proc` and folders that are the machine's and not the host's. Where hosts are run by
/// the machine's own root, they must not write there.
const MACHINES: [&str; 5] = ["sys", "sysrq-trigger", "irq", "bus", "fs"];

/// In the stage: where a host makes its root before it moves there.
const NEW: &str = "/new";

/// The stage, as a host that starts on it knows it.
pub struct Stage {
    /// Its mount namespace.
    namespace: File,
    folders: Vec<&'static str>,
    links: Vec<(&'static str, PathBuf)>,
    machines_root: bool,
}

impl Stage {
    /// Builds the stage, in a new mount namespace. `below` is any folder; in there, what is in it is
    /// hidden.
    pub fn build(plan: &Plan, below: &Path, programs: &Path, machines_root: bool) -> Result<Self> {
        elsewhere(|| {
            unshare(CloneFlags::CLONE_NEWNS).or_lab(|| "cannot make a mount namespace")?;
            Self::build_here(plan, below, programs, machines_root)
        })
    }

    /// Does something on the stage, and comes back.
    pub fn visit<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        elsewhere(|| {
            setns(&self.namespace, CloneFlags::CLONE_NEWNS).or_lab(|| "cannot go on the hosts' stage")?;
            work()
        })
    }

    fn build_here(plan: &Plan, below: &Path, programs: &Path, machines_root: bool) -> Result<Self> {
        let namespace = own_mounts()?;
        // Nothing that is mounted here may show outside, and nothing from outside may turn up here.
        mount_at(None, Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
        tmpfs(below, "mode=755")?;
        chdir(below).or_lab(|| format!("cannot enter {}", below.display()))?;
        let mut stage = Self { namespace, folders: vec!["opt", "dev"], links: Vec::new(), machines_root };
        for name in SHARED {
            stage.share(name)?;
        }
        share_optional(programs)?;
        share_devices()?;
        write(Path::new("hosts"), &hosts_file(plan))?;
        let mut copies = Copies::default();
        for (n, host) in plan.hosts.iter().enumerate() {
            write(&hostname_file(n), &format!("{}\n", host.name))?;
            for (m, wanted) in host.mounts.iter().enumerate() {
                let place = mount_point(n, m);
                match wanted.copy {
                    None => bind_like(&wanted.source, &place)?,
                    Some(bytes) => copies.mount(&wanted.source, bytes, place)?,
                }
            }
        }
        if !machines_root {
            // In a user namespace, /proc and /sys can only be mounted where they are seen already.
            for name in ["proc", "sys"] {
                bind_like(&Path::new("/").join(name), Path::new(&format!(".{name}")))?;
            }
        }
        folder(&NEW[1..], 0o755)?;
        leave_machine()?;
        // Now that a link in /etc leads to where it will lead on a host.
        bind(Path::new("/hosts"), Path::new("/etc/hosts"), MsFlags::empty())?;
        sys::read_only(Path::new("/"), false).or_lab(|| "cannot make the hosts' root read-only")?;
        Ok(stage)
    }

    fn share(&mut self, name: &'static str) -> Result<()> {
        let source = Path::new("/").join(name);
        if let Ok(target) = fs::read_link(&source) {
            self.links.push((name, target.clone()));
            return symlink(&target, name).or_lab(|| format!("cannot make the link {name}"));
        }
        if source.is_dir() {
            bind_like(&source, Path::new(name))?;
            read_only(Path::new(name))?;
            if name == "etc" && self.machines_root {
                hide_secrets()?;
            }
            self.folders.push(name);
        }
        Ok(())
    }

    /// Gives this process, host number `n` of the plan, a root of its own. It is to be PID 1 of a new
    /// PID namespace, in a copy of the stage's mount namespace.
    pub fn enter(&self, host: &HostPlan, n: usize) -> Result<()> {
        tmpfs(Path::new(NEW), &bounded("mode=755", host.limits.disk))?;
        chdir(NEW).or_lab(|| "cannot enter the host's root")?;
        for (name, mode) in OWN {
            folder(name, mode)?;
        }
        symlink("/run", "var/run").or_lab(|| "cannot make the link var/run")?;
        for (name, target) in &self.links {
            symlink(target, name).or_lab(|| format!("cannot make the link {name}"))?;
        }
        for name in &self.folders {
            folder(name, 0o755)?;
            bind(&Path::new("/").join(name), Path::new(name), MsFlags::MS_REC)?;
        }
        if Path::new("etc/hostname").exists() {
            bind(&Path::new("/").join(hostname_file(n)), Path::new("etc/hostname"), MsFlags::empty())?;
        }
        self.mount_system(host.limits.disk)?;
        for (m, wanted) in host.mounts.iter().enumerate() {
            let target = wanted.target.strip_prefix("/").unwrap_or(&wanted.target);
            bind_like(&Path::new("/").join(mount_point(n, m)), target).map_err(|e| {
                e.hint("a host's /usr and /etc are the machine's; mount elsewhere, as under /root")
            })?;
            if wanted.read_only {
                read_only(target)?;
            }
        }
        mount_at(Some(Path::new(".")), Path::new("/"), None, MsFlags::MS_MOVE, None)?;
        chroot(".").and_then(|()| chdir("/")).or_lab(|| "cannot enter the host's root")
    }

    fn mount_system(&self, disk: Option<u64>) -> Result<()> {
        let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount_at(None, Path::new("proc"), Some("proc"), plain, None)?;
        if self.machines_root {
            protect_machine()?;
        }
        match mount_at(None, Path::new("sys"), Some("sysfs"), plain | MsFlags::MS_RDONLY, None) {
            // Some containers hide part of /sys, and then a user may not have another one. Nothing
            // that a lab does needs it.
            Err(_) if !self.machines_root => {}
            other => other?,
        }
        let terminals = "newinstance,ptmxmode=0666,mode=620";
        let devpts = Some("devpts");
        mount_at(
            None,
            Path::new("dev/pts"),
            devpts,
            MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
            Some(terminals),
        )?;
        tmpfs(Path::new("dev/shm"), &bounded("mode=1777", disk))
    }
}

/// Does something in another mount namespace, which `work` goes to, and comes back however that ends.
fn elsewhere<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let home = own_mounts()?;
    let done = work();
    setns(&home, CloneFlags::CLONE_NEWNS).or_lab(|| "cannot come back from the hosts' mounts")?;
    done
}

fn own_mounts() -> Result<File> {
    File::open("/proc/self/ns/mnt").or_lab(|| "cannot find the mount namespace")
}

/// Binds what is in the machine's `/opt`, and beside it our programs.
fn share_optional(programs: &Path) -> Result<()> {
    folder("opt", 0o755)?;
    for entry in fs::read_dir("/opt").into_iter().flatten().flatten() {
        if entry.file_name() != "netlab" {
            let target = Path::new("opt").join(entry.file_name());
            if let Ok(link) = fs::read_link(entry.path()) {
                symlink(link, &target).or_lab(|| format!("cannot make the link {}", target.display()))?;
                continue;
            }
            bind_like(&entry.path(), &target)?;
            read_only(&target)?;
        }
    }
    let ours = Path::new(&PROGRAMS[1..]);
    for name in OURS {
        let (source, target) = (programs.join(name), ours.join(name));
        if source.exists() {
            bind_like(&source, &target)?;
            read_only(&target)?;
        } else if name == INIT {
            return Err(Error::lab(format!("{INIT} is not in {}", programs.display()))
                .hint("netlab needs its own programs beside it: install them together"));
        }
    }
    Ok(())
}

fn share_devices() -> Result<()> {
    for name in ["dev", "dev/pts", "dev/shm"] {
        folder(name, 0o755)?;
    }
    for name in DEVICES {
        let name = Path::new("dev").join(name);
        bind_like(&Path::new("/").join(&name), &name)?;
        // Its mode and owner are the machine's; what it does when written to is another matter.
        read_only(&name)?;
    }
    let links = [
        ("dev/ptmx", "pts/ptmx"),
        ("dev/fd", "/proc/self/fd"),
        ("dev/stdin", "/proc/self/fd/0"),
        ("dev/stdout", "/proc/self/fd/1"),
        ("dev/stderr", "/proc/self/fd/2"),
    ];
    links.iter().try_for_each(|(name, target)| symlink(target, name)).or_lab(|| "cannot make the hosts' /dev")
}

/// Covers what in `etc` only the machine's root may read, as password hashes and keys: on a host, root
/// is any student.
fn hide_secrets() -> Result<()> {
    let (no_file, no_folder) = (Path::new(".no-file"), Path::new(".no-folder"));
    write(no_file, "")?;
    folder(".no-folder", 0o755)?;
    let mut folders = vec![PathBuf::from("etc")];
    while let Some(parent) = folders.pop() {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            // Of a link itself, and not of what it leads to: that is met where it is.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() && found.mode() & 0o005 == 0o005 {
                folders.push(entry.path());
            } else if found.is_dir() {
                bind(no_folder, &entry.path(), MsFlags::empty())?;
            } else if found.is_file() && found.mode() & 0o004 == 0 {
                bind(no_file, &entry.path(), MsFlags::empty())?;
            }
        }
    }
    Ok(())
}

/// Makes the machine's own parameters read-only, but for those of this network namespace.
fn protect_machine() -> Result<()> {
    let net = Path::new("proc/sys/net");
    for name in MACHINES {
        let path = Path::new("proc").join(name);
        if path.exists() {
            bind(&path, &path, MsFlags::empty())?;
            if name == "sys" {
                bind(net, net, MsFlags::empty())?;
            }
            sys::read_only(&path, false).or_lab(|| format!("cannot protect {}", path.display()))?;
        }
    }
    Ok(())
}

/// Takes the current folder for root, and detaches all that was there before.
fn leave_machine() -> Result<()> {
    pivot_root(".", ".").or_lab(|| "cannot change the root")?;
    umount2(".", MntFlags::MNT_DETACH).or_lab(|| "cannot detach the machine's folders")?;
    chdir("/").or_lab(|| "cannot enter the new root")
}

/// `/etc/hosts`: every host of the lab by name.
fn hosts_file(plan: &Plan) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for (address, name) in plan.addresses() {
        text.extend([&address.to_string(), " ", name, "\n"]);
    }
    text
}

/// In the stage: the file that will be a host's `/etc/hostname`.
fn hostname_file(host: usize) -> PathBuf {
    format!("hostname{host}").into()
}

/// In the stage: what will be mounted on a host.
fn mount_point(host: usize, mount: usize) -> PathBuf {
    format!("mount{host}-{mount}").into()
}

fn folder(name: &str, mode: u32) -> Result<()> {
    let make = || {
        DirBuilder::new().mode(mode).create(name)?;
        // The umask takes bits from the mode above.
        if mode & 0o022 != 0 { fs::set_permissions(name, Permissions::from_mode(mode)) } else { Ok(()) }
    };
    make().or_lab(|| format!("cannot make the folder {name}"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).or_lab(|| format!("cannot write {}", path.display()))
}

fn tmpfs(target: &Path, options: &str) -> Result<()> {
    mount_at(None, target, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
}

/// Mount options of a file system that holds at most so many bytes, and files in proportion.
fn bounded(options: &str, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{options},size={bytes},nr_inodes={}", 1024 + bytes / 4096),
        None => options.to_owned(),
    }
}

/// Copies of the machine's folders for hosts to change: one a source, which hosts share.
#[derive(Default)]
struct Copies(Vec<(PathBuf, PathBuf)>);

impl Copies {
    fn mount(&mut self, source: &Path, bytes: u64, place: PathBuf) -> Result<()> {
        if let Some((_, first)) = self.0.iter().find(|(known, _)| known == source) {
            return bind_like(first, &place);
        }
        let what = || format!("cannot copy {} for the hosts", source.display());
        fs::create_dir(&place).or_lab(what)?;
        tmpfs(&place, &bounded("mode=755", Some(bytes)))?;
        copy(source, &place).or_lab(what)?;
        self.0.push((source.to_owned(), place));
        Ok(())
    }
}

/// Copies the files and folders in a folder; what is neither is left out.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Binds a file or folder to a place that is made for it.
fn bind_like(source: &Path, target: &Path) -> Result<()> {
    let what = || format!("cannot show {} to a host", source.display());
    if fs::metadata(source).or_lab(what)?.is_dir() {
        fs::create_dir_all(target).or_lab(what)?;
    } else {
        target.parent().map_or(Ok(()), fs::create_dir_all).or_lab(what)?;
        match File::create_new(target) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).or_lab(what),
            _ => {}
        }
    }
    bind(source, target, MsFlags::MS_REC)
}

fn bind(source: &Path, target: &Path, flags: MsFlags) -> Result<()> {
    mount_at(Some(source), target, None, flags | MsFlags::MS_BIND, None)
}

fn read_only(path: &Path) -> Result<()> {
    sys::read_only(path, true).map_err(|e| {
        let error = Error::lab(format!("cannot make {} read-only", path.display())).caused_by(e);
        if e == Errno::ENOSYS { error.hint("this needs Linux 5.12 or newer") } else { error }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_know_each_other_by_name() {
        let plan: Plan = serde_json::from_value(serde_json::json!({
            "lab": "x", "segments": [], "hosts": [{
                "name": "server", "role": "server", "routes": [], "run": null, "env": {}, "mounts": [],
                "links": [{ "segment": "lan", "address": "198.18.0.2", "prefix_len": 24 }],
                "limits": { "memory": null, "millicpus": null, "pids": null, "disk": null }
            }]
        }))
        .unwrap();
        assert!(hosts_file(&plan).ends_with("198.18.0.2 server\n"));
        assert!(hosts_file(&plan).starts_with("127.0.0.1 localhost\n"));
    }
}

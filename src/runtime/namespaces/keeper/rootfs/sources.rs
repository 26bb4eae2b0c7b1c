//! The machine's files that a lab's hosts share, as detached mounts. The keeper creates them, since the
//! hosts' root may not reach all of the files.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    super::ids::Ids,
    SYSTEM,
    copies::copy,
    detached::{Detached, Kind},
    etc::Etc,
    mount_point, students_point,
};
use crate::{
    Error, Result,
    error::Context,
    privileges::STUDENT_ID,
    programs,
    runtime::{Lack, Warning},
    topology::{Mount, Plan},
};

/// The machine's folders of programs, if present. A symbolic link is recreated as one: on most systems `/bin`
/// links to `/usr/bin`.
const SHARED: [&str; 9] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix", "gnu"];

/// Device files that hosts share.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links in `/dev`.
pub const DEVICE_LINKS: [(&str, &str); 5] = [
    ("dev/ptmx", "pts/ptmx"),
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];

/// What is visible at a path.
pub enum Source {
    /// This.
    Mount(Detached),
    /// The same as at another path, which comes earlier.
    Same(PathBuf),
}

/// What hosts share.
pub struct Sources {
    /// The mounts by their path in the template, parents first.
    pub mounts: Vec<(PathBuf, Source)>,
    /// Folders to create on each host.
    pub folders: Vec<&'static str>,
    /// Symbolic links to create on each host.
    pub links: Vec<(&'static str, PathBuf)>,
}

impl Sources {
    /// Prepares everything for the hosts of a plan.
    pub fn prepare(plan: &Plan, programs: &Path, ids: &Ids, warnings: &mut Vec<Warning>) -> Result<Self> {
        let mut sources = Self { mounts: Vec::new(), folders: vec!["opt", "dev", "etc"], links: Vec::new() };
        for name in SHARED {
            sources.share(name)?;
        }
        sources.etc(plan)?;
        sources.programs(programs, plan.untrusted && ids.can_map_mounts())?;
        sources.devices()?;
        for name in SYSTEM {
            // Visible but never used: a host unmounts it before it runs any program.
            let mount = Detached::of(&Path::new("/").join(name), Kind::Writable)?;
            sources.mount(format!(".{name}"), mount);
        }
        sources.host_mounts(plan, ids, warnings)?;
        Ok(sources)
    }

    fn mount(&mut self, place: impl Into<PathBuf>, mount: Detached) {
        self.mounts.push((place.into(), Source::Mount(mount)));
    }

    fn share(&mut self, name: &'static str) -> Result<()> {
        let source = Path::new("/").join(name);
        if let Ok(target) = fs::read_link(&source) {
            self.links.push((name, target));
        } else if source.is_dir() {
            self.mount(name, Detached::of(&source, Kind::ReadOnly)?);
            self.folders.push(name);
        }
        Ok(())
    }

    fn etc(&mut self, plan: &Plan) -> Result<()> {
        let etc = Etc::build(plan)?;
        etc.files.protect(Kind::ReadOnly)?;
        self.mount("etc", etc.files);
        for (name, mount) in etc.folders {
            self.mount(Path::new("etc").join(name), mount);
        }
        Ok(())
    }

    /// Mounts netlab's programs. With `closed`, nobody on a host can read PID 1, so the kernel does not let
    /// anybody there trace it or the programs it launches (ptrace(2), `PTRACE_MODE_READ`).
    fn programs(&mut self, folder: &Path, closed: bool) -> Result<()> {
        let place = Path::new(&programs::FOLDER[1..]);
        let own = Detached::tmpfs(&[("mode", "755".into())])?;
        let mut mounts = Vec::new();
        for name in programs::on_hosts() {
            let (source, inside) = (folder.join(name), own.path().join(name));
            let what = || format!("cannot show {} to a host", source.display());
            if !source.exists() {
                if name == programs::INIT {
                    return Err(Error::lab(format!("{} is not in {}", programs::INIT, folder.display()))
                        .hint("netlab needs its own programs beside it: install them together"));
                }
                continue;
            }
            if name == programs::INIT && closed {
                fs::copy(&source, &inside).or_lab(what)?;
                fs::set_permissions(&inside, fs::Permissions::from_mode(0o111)).or_lab(what)?;
            } else {
                fs::write(&inside, "").or_lab(what)?;
                mounts.push((place.join(name), Detached::of(&source, Kind::ReadOnly)?));
            }
        }
        own.protect(Kind::ReadOnly)?;
        self.mount(place, own);
        for (place, mount) in mounts {
            self.mount(place, mount);
        }
        Ok(())
    }

    fn devices(&mut self) -> Result<()> {
        for name in DEVICES {
            let name = Path::new("dev").join(name);
            let mount = Detached::of(&Path::new("/").join(&name), Kind::Devices)?;
            self.mount(name, mount);
        }
        Ok(())
    }

    fn host_mounts(&mut self, plan: &Plan, ids: &Ids, warnings: &mut Vec<Warning>) -> Result<()> {
        let mut first: Vec<(&Mount, [PathBuf; 2])> = Vec::new();
        for (n, host) in plan.hosts.iter().enumerate() {
            for (m, wanted) in host.mounts.iter().enumerate() {
                let places = [mount_point(n, m), students_point(n, m)];
                // Created once for all hosts with the same view; in particular there must be only one copy.
                let is_same = |(known, _): &&(&Mount, [PathBuf; 2])| {
                    let alike = wanted.copy.is_some() || known.read_only == wanted.read_only;
                    known.source == wanted.source && known.copy.is_some() == wanted.copy.is_some() && alike
                };
                if let Some((_, made)) = first.iter().find(is_same) {
                    // The student's view exists only if it differs from root's.
                    let views = if wanted.copy.is_none() && ids.can_map_mounts() { 2 } else { 1 };
                    let same = places.into_iter().zip(made.clone()).take(views);
                    self.mounts.extend(same.map(|(place, made)| (place, Source::Same(made))));
                    continue;
                }
                match wanted.copy {
                    Some(bytes) => self.mount(&places[0], copy(&wanted.source, bytes, ids.student())?),
                    None => self.host_mount(wanted, places.clone(), ids, warnings)?,
                }
                first.push((wanted, places));
            }
        }
        Ok(())
    }

    /// Mounts a folder of the machine on a host: root and the student each see it as their own, if the kernel
    /// can do that.
    fn host_mount(
        &mut self,
        wanted: &Mount,
        places: [PathBuf; 2],
        ids: &Ids,
        warnings: &mut Vec<Warning>,
    ) -> Result<()> {
        let kind = if wanted.read_only { Kind::ReadOnly } else { Kind::Writable };
        for (place, shown) in places.into_iter().zip([0, STUDENT_ID]) {
            let mount = Detached::of(&wanted.source, kind)?;
            if ids.can_map_mounts() {
                let what = || format!("cannot show {} to a host", wanted.source.display());
                let found = fs::metadata(&wanted.source).or_lab(what)?;
                let map = ids.mount_map((found.uid(), found.gid()), shown)?;
                if let Err(e) = mount.map_owners(&map) {
                    let source = wanted.source.display();
                    let text =
                        format!("hosts cannot change {source}: its file system cannot map owners: {e}");
                    let warning = Warning { lacks: Lack::Owners, text };
                    if !warnings.contains(&warning) {
                        warnings.push(warning);
                    }
                }
            } else if shown != 0 {
                continue;
            }
            self.mount(place, mount);
        }
        Ok(())
    }
}

//! Files and folders of the machine that a host sees.

use std::{
    collections::HashSet,
    path::{Component, Path as FilePath, PathBuf},
};

use super::{
    Mount,
    file::{self, Host},
    resolve::Resolver,
};
use crate::yaml::Path;

/// Targets that the host itself needs.
const OWN: [&str; 4] = ["/", "/proc", "/sys", "/dev"];

impl Resolver<'_> {
    /// Returns the mounts of the hosts of one key.
    pub(super) fn mounts(&mut self, host: &Host, path: &Path) -> Vec<Mount> {
        let mut mounts: Vec<Mount> = Vec::new();
        let mut targets: HashSet<PathBuf> = HashSet::new();
        for (i, given) in host.mounts.iter().flatten().enumerate() {
            let here = path.key("mounts").index(i);
            let mount = mount(given, self.folder);
            let (source, target) = (mount.source.display(), mount.target.display());
            if !mount.source.exists() {
                self.wrong(&here, format!("there is no {source}"), "a file or folder of this machine");
            } else if is_own(&mount.target) {
                self.wrong(&here, format!("a host needs its own {target}"), "another target, e.g. `/lab`");
            } else if !targets.insert(mount.target.clone()) {
                self.wrong(&here, format!("{target} a second time"), "one mount per target");
            } else {
                mounts.push(mount);
            }
        }
        mounts
    }
}

/// Returns the mount with absolute paths; a relative source starts at `folder`.
fn mount(given: &file::Mount, folder: &FilePath) -> Mount {
    let (source, target, read_only) = match given {
        file::Mount::Full(full) => (full.source.as_str(), full.target.as_str(), full.read_only),
        file::Mount::Short(short) => {
            let (source, rest) = short.split_once(':').unwrap_or((short, ""));
            match rest.split_once(':') {
                Some((target, mode)) => (source, target, mode == "ro"),
                None => (source, rest, false),
            }
        }
    };
    let source = folder.join(source);
    let absolute = std::path::absolute(&source).unwrap_or(source);
    // The engine may run as another user, so symbolic links are followed here, where they lead somewhere.
    let source = absolute.canonicalize().unwrap_or(absolute);
    Mount { source, target: straight(FilePath::new(target)), read_only, copy: None }
}

/// Returns an absolute path without `.`, `..` and double slashes.
fn straight(path: &FilePath) -> PathBuf {
    let mut straight = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => straight.push(name),
            Component::ParentDir => {
                straight.pop();
            }
            _ => {}
        }
    }
    straight
}

fn is_own(target: &FilePath) -> bool {
    OWN.iter().any(|own| target == FilePath::new(own)) || OWN[1..].iter().any(|own| target.starts_with(own))
}

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

/// What the host needs for itself.
const OWN: [&str; 4] = ["/", "/proc", "/sys", "/dev"];

impl Resolver<'_> {
    /// The mounts of one key's hosts.
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
                self.wrong(&here, format!("a host needs {target} for itself"), "another target, as `/lab`");
            } else if !targets.insert(mount.target.clone()) {
                self.wrong(&here, format!("{target} a second time"), "one mount a target");
            } else {
                mounts.push(mount);
            }
        }
        mounts
    }
}

/// A mount with absolute paths; a relative source is seen from `folder`.
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
    // The engine may run as someone else: links are followed here, while they lead somewhere.
    let source = absolute.canonicalize().unwrap_or(absolute);
    Mount { source, target: straight(FilePath::new(target)), read_only, copy: None }
}

/// An absolute path without `.`, `..` and double slashes.
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

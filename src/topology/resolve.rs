//! Checks what no schema can express, and expands each key of a file to all of its hosts.

use std::{collections::HashMap, fmt::Display, net::Ipv4Addr, path::Path as FilePath};

use super::{
    Host, Segment,
    file::{self, File},
    limits::limits,
};
use crate::yaml::{Document, Path, Problems};

/// A Linux bridge has ports for this many, with some to spare.
const MAX_HOSTS: u32 = 1000;

/// Returns the file's segments and hosts. Adds what is wrong to `problems`; the result is then only good
/// for finding more problems.
pub(super) fn resolve(
    file: &File,
    document: &Document,
    folder: &FilePath,
    problems: &mut Problems,
) -> (Vec<Segment>, Vec<Host>) {
    let mut resolver = Resolver {
        document,
        folder,
        problems,
        segments: Vec::new(),
        hosts: Vec::new(),
        names: HashMap::new(),
        addresses: HashMap::new(),
    };
    resolver.segments(file);
    let counts = file.hosts.values().map(|host| host.as_ref().and_then(|host| host.count).unwrap_or(1));
    let total = counts.fold(0_u32, u32::saturating_add);
    if total > MAX_HOSTS {
        let problem = || document.key(&Path::default().key("hosts"), format!("{total} hosts"));
        resolver.problems.add(|| problem().expected(format!("at most {MAX_HOSTS}")));
    } else {
        let nothing_said = file::Host::default();
        for (name, host) in &file.hosts {
            resolver.host(name, host.as_ref().unwrap_or(&nothing_said));
        }
        resolver.room();
    }
    (resolver.segments, resolver.hosts)
}

/// The state that the checks share; those of a host's parts are in files of their own.
pub(super) struct Resolver<'a> {
    pub(super) document: &'a Document,
    pub(super) folder: &'a FilePath,
    pub(super) problems: &'a mut Problems,
    pub(super) segments: Vec<Segment>,
    pub(super) hosts: Vec<Host>,
    /// The key in the file that made the host, by the host's name.
    pub(super) names: HashMap<String, String>,
    /// The host that has an address, by segment and address.
    pub(super) addresses: HashMap<(usize, Ipv4Addr), String>,
}

impl Resolver<'_> {
    /// Adds the hosts that one key of the file makes.
    fn host(&mut self, key: &str, host: &file::Host) {
        let path = Path::default().key("hosts").key(key);
        let links = self.links(host, &path);
        let env = host.env.clone().unwrap_or_default();
        let mounts = self.mounts(host, &path);
        let limits = limits(host.limits.as_ref());
        for i in 0..host.count.unwrap_or(1) {
            let name = if host.count.is_some() { format!("{key}{}", i + 1) } else { key.to_owned() };
            // Every further host of the key would repeat the mistake.
            let right = self.name(&name, key, &path) && self.addresses(&name, &links, i);
            let links = links.iter().map(|given| given.nth(i)).collect();
            self.hosts.push(Host {
                name,
                role: host.role,
                links,
                run: host.run.clone(),
                env: env.clone(),
                mounts: mounts.clone(),
                limits: limits.clone(),
            });
            if !right {
                break;
            }
        }
    }

    /// Checks that a name is free and not too long.
    fn name(&mut self, name: &str, key: &str, path: &Path) -> bool {
        let message = match self.names.insert(name.to_owned(), key.to_owned()) {
            _ if name == "localhost" => "every host calls itself `localhost`".to_owned(),
            _ if name.len() > 63 => format!("makes a hostname of {} characters", name.len()),
            Some(other) => format!("makes the host `{name}`, and so does `{other}`"),
            None => return true,
        };
        let expected = "a hostname of its own, of at most 63 characters";
        self.problems.add(|| self.document.key(path, message).expected(expected));
        false
    }

    pub(super) fn wrong(&mut self, path: &Path, message: impl Display, expected: &str) {
        self.problems.add(|| self.document.value(path, message).expected(expected));
    }
}

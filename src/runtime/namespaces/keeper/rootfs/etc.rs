//! The hosts' `/etc`: a few of the machine's files that programs look for, and the lab's own.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    detached::{Detached, Kind},
    make_place,
};
use crate::{
    Result,
    error::Context,
    privileges::{STUDENT, STUDENT_ID},
    topology::Plan,
};

/// The machine's files that hosts get a copy of, if present.
const FILES: [&str; 27] = [
    "bash.bashrc",
    "bindresvport.blacklist",
    "debian_version",
    "environment",
    "ethertypes",
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "locale.alias",
    "localtime",
    "login.defs",
    "magic",
    "mailcap",
    "manpath.config",
    "mime.types",
    "nanorc",
    "netconfig",
    "networks",
    "os-release",
    "profile",
    "protocols",
    "rpc",
    "services",
    "shells",
    "timezone",
];

/// Prefixes of the folders that hosts share. What only the machine's root may read stays unreadable.
const FOLDERS: [&str; 18] = [
    "alternatives",
    "bash_completion.d",
    "ca-certificates",
    "fonts",
    "gdb",
    "groff",
    "iproute2",
    "java-",
    "ld.so.conf.d",
    "perl",
    "php",
    "profile.d",
    "python",
    "ruby",
    "skel",
    "terminfo",
    "vim",
    "xdg",
];

/// Folders of certificates, below `/etc`. The folders beside them hold keys.
const CERTIFICATES: [&str; 3] = ["ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted"];

/// Maximum size of one file, in bytes.
const LONGEST: u64 = 4 << 20;

/// System accounts have lower ids; those from here on are people's, and of no concern to a host.
const PEOPLE: u32 = 1000;
/// The id of `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

/// Name resolution: files only, since a lab has no DNS server.
const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files
networks: files
protocols: files
services: files
ethers: files
rpc: files
";

/// The mounts of the hosts' `/etc`: the folder itself, then the folders mounted in it.
pub struct Etc {
    pub files: Detached,
    pub folders: Vec<(PathBuf, Detached)>,
}

impl Etc {
    /// Builds it from the machine's.
    pub fn build(plan: &Plan) -> Result<Self> {
        let files = Detached::tmpfs(&[("mode", "755".into())])?;
        let path = files.path();
        for name in FILES {
            if let Some(bytes) = readable(&Path::new("/etc").join(name)) {
                write(&path.join(name), &bytes)?;
            }
        }
        write(&path.join("passwd"), passwd().as_bytes())?;
        write(&path.join("group"), group().as_bytes())?;
        write(&path.join("nsswitch.conf"), NSSWITCH.as_bytes())?;
        write(&path.join("hosts"), hosts(plan).as_bytes())?;
        // Each host mounts its own over it.
        write(&path.join("hostname"), b"")?;
        let folders = folders();
        for name in &folders {
            make_place(&path.join(name), true).or_lab(|| "cannot make the hosts' /etc")?;
        }
        let mount =
            |name: PathBuf| Ok((name.clone(), Detached::of(&Path::new("/etc").join(name), Kind::ReadOnly)?));
        Ok(Self { files, folders: folders.into_iter().map(mount).collect::<Result<_>>()? })
    }
}

/// Returns the folders of `/etc` that hosts share.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let shared = names.filter(|name| FOLDERS.iter().any(|start| name.starts_with(start))).map(PathBuf::from);
    let all = shared.chain(CERTIFICATES.map(PathBuf::from));
    all.filter(|name| Path::new("/etc").join(name).is_dir()).collect()
}

/// Reads a file, if everybody may read it.
fn readable(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.permissions().mode() & 0o004 == 0 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the machine's system accounts and the hosts' own two.
fn passwd() -> String {
    let own = [
        "root:x:0:0:root:/root:/bin/bash".to_owned(),
        format!("{STUDENT}:x:{STUDENT_ID}:{STUDENT_ID}::/home/{STUDENT}:/bin/bash"),
    ];
    accounts("/etc/passwd", &own)
}

fn group() -> String {
    accounts("/etc/group", &["root:x:0:".to_owned(), format!("{STUDENT}:x:{STUDENT_ID}:")])
}

/// Returns our own lines and those of the file's system accounts.
fn accounts(file: &str, own: &[String; 2]) -> String {
    let text = readable(Path::new(file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_system = |line: &&str| {
        let id = line.split(':').nth(2).and_then(|id| id.parse::<u32>().ok());
        id.is_some_and(|id| (1..PEOPLE).contains(&id) || id == NOBODY)
    };
    let mut lines: Vec<&str> = own.iter().map(String::as_str).collect();
    lines.extend(text.lines().filter(is_system));
    lines.join("\n") + "\n"
}

/// Returns `/etc/hosts`, with every host of the lab by name.
fn hosts(plan: &Plan) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for (address, name) in plan.addresses() {
        text.extend([&address.to_string(), " ", name, "\n"]);
    }
    text
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default();
    fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)))
        .or_lab(|| format!("cannot write the hosts' /etc/{}", name.display()))
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
        assert!(hosts(&plan).ends_with("198.18.0.2 server\n"));
        assert!(hosts(&plan).starts_with("127.0.0.1 localhost\n"));
    }

    #[test]
    fn the_machines_people_are_no_accounts_of_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        let text = "root:x:0:0::/:/bin/zsh\ndaemon:x:1:1::/:/bin/false\nana:x:1001:1001::/home/ana:/bin/sh\n\
                    nobody:x:65534:65534::/:/bin/false\nbroken\n";
        fs::write(&file, text).unwrap();
        let own = ["root:x:0:0:root:/root:/bin/bash".to_owned(), "student:x:1000:1000:::".to_owned()];
        let accounts = accounts(&file.display().to_string(), &own);
        let names: Vec<_> = accounts.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(names, ["root", "student", "daemon", "nobody"]);
    }
}

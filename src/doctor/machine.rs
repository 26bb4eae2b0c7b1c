//! Checks what labs need besides a runtime: netlab's programs, the machine's tools, and room for captures.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::{Finding, State};
use crate::programs;

/// Programs that students use on hosts, and their packages on Debian, Fedora and Arch.
const TOOLS: [(&str, [&str; 3]); 6] = [
    ("ip", ["iproute2", "iproute", "iproute2"]),
    ("netstat", ["net-tools", "net-tools", "net-tools"]),
    ("ping", ["iputils-ping", "iputils", "iputils"]),
    ("ps", ["procps", "procps-ng", "procps-ng"]),
    ("strace", ["strace", "strace", "strace"]),
    ("tcpdump", ["tcpdump", "tcpdump", "tcpdump"]),
];
/// Programs needed outside of hosts.
const OTHERS: [(&str, [&str; 3]); 2] = [
    ("tc", ["iproute2", "iproute-tc", "iproute2"]),
    ("wireshark", ["wireshark", "wireshark", "wireshark-qt"]),
];

/// The commands that install packages, in the order of the columns above.
const INSTALLERS: [(&str, &str); 3] =
    [("apt-get", "sudo apt-get install"), ("dnf", "sudo dnf install"), ("pacman", "sudo pacman -S")];

/// Below this much free room captures are at risk, in bytes.
const LITTLE: u64 = 1 << 30;
/// Below this much there is no point in starting one, in bytes.
const TOO_LITTLE: u64 = 50 << 20;

pub fn examine() -> Vec<Finding> {
    vec![our_programs(), tools(), readers(), room(Path::new("captures"))]
}

fn our_programs() -> Finding {
    let folder =
        std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default();
    let absent: Vec<_> = programs::on_hosts().filter(|name| !folder.join(name).is_file()).collect();
    let finding = |detail| Finding::ok("programs", "every lab: its hosts run them", detail);
    if absent.is_empty() {
        finding(format!(
            "{} are in {}",
            programs::on_hosts().collect::<Vec<_>>().join(", "),
            folder.display()
        ))
    } else {
        finding(format!("no {} in {}", absent.join(", "), folder.display()))
            .bad(State::Missing, "make install, in netlab's sources")
    }
}

fn tools() -> Finding {
    let absent: Vec<_> = TOOLS.iter().map(|(name, _)| *name).filter(|name| find(name).is_none()).collect();
    let finding =
        |detail| Finding::ok("tools", "hosts on namespaces, which use this machine's programs", detail);
    if absent.is_empty() {
        finding(format!("{} are installed", TOOLS.map(|(name, _)| name).join(", ")))
    } else {
        finding(format!("no {}", absent.join(", "))).bad(State::Warn, install(&absent))
    }
}

fn readers() -> Finding {
    let readers = ["wireshark", "tshark", "tcpdump"];
    let found: Vec<_> = readers.into_iter().filter(|name| find(name).is_some()).collect();
    let finding = |detail| Finding::ok("readers", "reading captures, besides `netlab capture show`", detail);
    if found.is_empty() {
        finding(format!("none of {}", readers.join(", "))).bad(State::Warn, install(&["wireshark"]))
    } else {
        finding(format!("{} can read captures", found.join(", ")))
    }
}

fn room(captures: &Path) -> Finding {
    let folder = if captures.is_dir() { captures } else { Path::new(".") };
    let finding = |detail| Finding::ok("disk", "writing captures and reports", detail);
    let free = match statvfs(folder) {
        Ok(found) => found.blocks_available().saturating_mul(found.fragment_size()),
        Err(e) => {
            return finding(format!("cannot find out how much is free: {}", e.desc()))
                .bad(State::Warn, "df -h .");
        }
    };
    let detail = format!("{} MiB free for {}", free >> 20, captures.display());
    match free {
        ..TOO_LITTLE => finding(detail).bad(State::Missing, "rm -r captures/*/ removes old runs"),
        TOO_LITTLE..LITTLE => finding(detail).bad(State::Warn, "rm -r captures/*/ removes old runs"),
        LITTLE.. => finding(detail),
    }
}

/// Returns the command that installs the packages of these programs, or their names if the system is unknown.
pub fn install(programs: &[&str]) -> String {
    let known = || TOOLS.iter().chain(&OTHERS).filter(|(name, _)| programs.contains(name));
    for (column, (manager, command)) in INSTALLERS.into_iter().enumerate() {
        if find(manager).is_some() {
            let packages: Vec<_> = known().map(|(_, packages)| packages[column]).collect();
            return format!("{command} {}", packages.join(" "));
        }
    }
    let packages: Vec<_> = known().map(|(_, packages)| packages[0]).collect();
    format!("install (Debian's package names): {}", packages.join(", "))
}

/// Finds a program in the PATH or among the administrators' programs, which a user's PATH may lack.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_where_they_are() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }

    #[test]
    fn a_mend_names_packages_and_not_programs() {
        let fix = install(&["netstat", "ps"]);
        assert!(fix.contains("net-tools") && fix.contains("procps"), "{fix}");
    }

    #[test]
    fn a_full_disk_is_told_from_a_roomy_one() {
        // A file system of the kernel has no room at all.
        assert_eq!(room(Path::new("/proc")).state, State::Missing);
    }
}

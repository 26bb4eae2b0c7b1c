//! Checks which walls between a lab's hosts and this machine are possible here. `SECURITY.md` says what each is for.

use std::{fs, path::Path};

use nix::unistd::geteuid;

use super::{Finding, State};

const CGROUPS: &str = "/sys/fs/cgroup";

/// What the trial lab has shown about its hosts' users.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// `/proc/self/uid_map` of a host.
    pub map: String,
    /// Why a folder of the machine could not be shown with its owner, if so.
    pub unmapped: Option<String>,
}

pub fn examine(users: &Users) -> Vec<Finding> {
    let mut all = vec![hosts_users(&users.map)];
    if geteuid().is_root() {
        all.push(owners(users.unmapped.as_deref()));
    }
    all.extend([swap(), apparmor()]);
    all
}

fn hosts_users(map: &str) -> Finding {
    let finding = |detail: String| {
        Finding::ok("users", "making a host's users nobody on this machine, in case one escapes", detail)
    };
    let count: u64 = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
    if count > 1 {
        return finding(format!("a host's {count} users are none of this machine's"));
    }
    finding("root on a host is you, and there is no other user".into()).bad(
        State::Warn,
        "sudo apt-get install uidmap && sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
    )
}

fn owners(unmapped: Option<&str>) -> Finding {
    let finding = |detail: &str| {
        Finding::ok("owners", "giving files that hosts create in a workspace to its owner", detail)
    };
    match unmapped {
        None => finding("this folder's file system can map owners"),
        Some(why) => {
            finding(why).bad(State::Warn, "keep workspaces on ext4, xfs or btrfs, with Linux 5.12 or newer")
        }
    }
}

fn swap() -> Finding {
    let finding =
        |detail: &str| Finding::ok("swap", "counting swapped-out memory against a host's limit", detail);
    let root = Path::new(CGROUPS);
    let is_used = fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1);
    if root.join("cgroup.controllers").exists() {
        return finding("control groups of version 2 count it");
    }
    if root.join("memory/memory.memsw.limit_in_bytes").exists() {
        return finding("control groups of version 1 count it");
    }
    if !is_used {
        return finding("this machine has no swap");
    }
    finding("control groups of version 1 do not count it here")
        .bad(State::Warn, "boot with swapaccount=1, or `sudo swapoff -a`")
}

fn apparmor() -> Finding {
    let finding = |detail: &str| Finding::ok("apparmor", "a second wall around containers", detail);
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if enabled.is_ok_and(|text| text.trim() == "Y") {
        finding("the kernel has it")
    } else {
        finding("the kernel lacks it, or it is off")
            .bad(State::Warn, "boot with apparmor=1 security=apparmor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_is_less_than_a_range() {
        assert_eq!(hosts_users("         0       1000          1\n").state, State::Warn);
        let range = hosts_users("         0       1000          1\n         1     100000      65535\n");
        assert_eq!(range.state, State::Ok);
        assert!(range.detail.contains("65536 users"), "{}", range.detail);
    }
}

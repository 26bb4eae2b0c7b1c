//! The limits of a host, and their defaults: enough for whatever a course does, and too little to harm the machine.
//! A forgotten `exit()` in a server that forks is a fork bomb.

use nix::unistd::{SysconfVar, sysconf};

use super::{Limits, file};

/// Default number of processes and threads.
const PIDS: u64 = 500;
/// Default memory, in bytes, but at most half of the machine's.
const MEMORY: u64 = 1 << 30;

/// Returns the limits of the file, with defaults for those it omits.
pub(super) fn limits(given: Option<&file::Limits>) -> Limits {
    let usual = usual();
    let Some(given) = given else { return usual };
    let amount = |text: &Option<String>, usual| match text.as_deref() {
        None => usual,
        Some("none") => None,
        Some(text) => bytes(text),
    };
    Limits {
        memory: amount(&given.memory, usual.memory),
        // The schema keeps it between 0.01 and 1024.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        millicpus: given.cpus.map(|cpus| (cpus * 1000.0).round() as u32),
        pids: match given.pids {
            None => usual.pids,
            Some(file::Pids::Most(most)) => Some(most),
            Some(file::Pids::Unlimited(file::Unlimited::None)) => None,
        },
        disk: amount(&given.disk, usual.disk),
    }
}

fn usual() -> Limits {
    let memory = half_the_machine().map_or(MEMORY, |half| half.min(MEMORY));
    // On namespaces files are in memory, and a full disk is easier to understand than a program killed for its memory.
    Limits { memory: Some(memory), millicpus: None, pids: Some(PIDS), disk: Some(memory / 2) }
}

fn half_the_machine() -> Option<u64> {
    let of = |variable| sysconf(variable).ok().flatten().and_then(|n| u64::try_from(n).ok());
    Some(of(SysconfVar::_PHYS_PAGES)?.checked_mul(of(SysconfVar::PAGE_SIZE)?)? / 2)
}

/// Converts an amount such as `256MiB`, whose form the schema has checked, to bytes.
pub(crate) fn bytes(amount: &str) -> Option<u64> {
    let (number, unit) = amount.split_at(amount.find(|c: char| !c.is_ascii_digit())?);
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        _ => 30,
    };
    Some(number.parse::<u64>().ok()? << shift)
}

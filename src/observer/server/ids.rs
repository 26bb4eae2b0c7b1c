//! Translates user ids to a host's. A host in its own user namespace has a range of the machine's ids, and
//! the kernel reports the machine's.

use std::fs;

use super::proc::Proc;

/// The id that stands for one without a mapping on the host (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65_534;
/// Maximum size of a map, in bytes, more than all ranges of a namespace take.
const MOST: usize = 64 << 10;

/// A host's ranges: the host's first id, ours, and the count; `None` if both are the same.
pub struct Ids(Option<Vec<[u32; 3]>>);

impl Ids {
    /// Reads a host's ranges. They are set once, before anything runs there.
    pub fn of(proc: &Proc) -> nix::Result<Self> {
        let ours = fs::read_link("/proc/self/ns/user").unwrap_or_default();
        if proc.link("1/ns/user")? == *ours {
            return Ok(Self(None));
        }
        let mut map = Vec::new();
        proc.read("1/uid_map", MOST, &mut map)?;
        Ok(Self::read(&String::from_utf8_lossy(&map)))
    }

    /// Parses a namespace's `uid_map`.
    pub fn read(map: &str) -> Self {
        Self(Some(ranges(map)))
    }

    /// Returns the host's id for one of ours.
    pub fn inside(&self, uid: u32) -> u32 {
        let Some(ranges) = &self.0 else { return uid };
        let within = |[inside, outside, count]: &[u32; 3]| {
            let nth = uid.checked_sub(*outside).filter(|nth| nth < count)?;
            inside.checked_add(nth)
        };
        ranges.iter().find_map(within).unwrap_or(NOBODY)
    }
}

fn ranges(map: &str) -> Vec<[u32; 3]> {
    let range = |line: &str| {
        let numbers: Vec<u32> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        numbers.try_into().ok()
    };
    map.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_hosts_own() {
        let map = "         0 1900000000       1000\n      1000       4545          1\nnonsense\n";
        let ids = Ids::read(map);
        for (outside, inside) in [
            (1_900_000_000, 0),
            (1_900_000_999, 999),
            (4545, 1000),
            (1_900_001_000, NOBODY),
            (0, NOBODY),
            (u32::MAX, NOBODY),
        ] {
            assert_eq!(ids.inside(outside), inside, "{outside}");
        }
        assert_eq!(Ids(None).inside(1000), 1000);
        assert_eq!(Ids(Some(vec![[u32::MAX, 0, 10]])).inside(5), NOBODY, "beyond every number");
    }
}

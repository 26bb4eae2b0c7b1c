//! Capabilities (capabilities(7)), as far as a host's programs need them.

#![allow(unsafe_code, reason = "capget(2), capset(2) and prctl(2) have no safe wrapper")]

use nix::{errno::Errno, libc};
use serde::{Deserialize, Serialize};

/// A set of capabilities: bit `n` is number `n` of `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::unsafe_derive_deserialize, reason = "any bits are a set")]
pub struct Capabilities(u64);

impl Capabilities {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// For root of a host with untrusted programs: files, users and signals of the host itself.
    pub const UNTRUSTED: Self = Self(bits(&[
        0,  // CHOWN
        1,  // DAC_OVERRIDE
        3,  // FOWNER
        4,  // FSETID
        5,  // KILL
        6,  // SETGID
        7,  // SETUID
        8,  // SETPCAP
        10, // NET_BIND_SERVICE
    ]));

    /// For root of a host that people explore: also its network, packets and tracing, but not creating device
    /// nodes.
    pub const PEOPLE: Self = Self(
        Self::UNTRUSTED.0
            | bits(&[
                12, // NET_ADMIN
                13, // NET_RAW
                18, // SYS_CHROOT
                19, // SYS_PTRACE
                29, // AUDIT_WRITE
                31, // SETFCAP
            ]),
    );

    /// Returns the set for root of a host; `untrusted` is [`crate::topology::Plan::untrusted`].
    pub fn of_root(untrusted: bool) -> Self {
        if untrusted { Self::UNTRUSTED } else { Self::PEOPLE }
    }

    /// Parses a set as in `/proc/PID/status`: sixteen hexadecimal digits.
    pub fn from_status(text: &str) -> Option<Self> {
        u64::from_str_radix(text.trim(), 16).ok().map(Self)
    }

    fn has(self, capability: u32) -> bool {
        self.0 & (1 << capability) != 0
    }

    /// Removes all capabilities outside this set from this process and its descendants.
    pub fn limit(self) -> nix::Result<()> {
        self.bound()?;
        self.hold()
    }

    /// Removes all capabilities outside this set from the bounding set, so that no program executed later
    /// gains them. Needs CAP_SETPCAP, unless there is nothing to remove.
    pub fn bound(self) -> nix::Result<()> {
        for capability in 0..64 {
            // SAFETY: takes plain numbers.
            let bounded = unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) };
            match Errno::result(bounded) {
                // The kernel has no capability of this number or above.
                Err(Errno::EINVAL) => break,
                Ok(1) if !self.has(capability) => {
                    // SAFETY: takes plain numbers.
                    Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })?;
                }
                other => other.map(drop)?,
            }
        }
        Ok(())
    }

    /// Drops this process's capabilities outside this set irrevocably.
    pub fn hold(self) -> nix::Result<()> {
        let mut sets = Sets::get()?;
        for (set, half) in sets.0.iter_mut().zip(self.halves()) {
            set.iter_mut().for_each(|bits| *bits &= half);
        }
        sets.set()
    }

    /// Lets the next program executed keep this process's capabilities even if it is not root.
    pub fn keep_across_exec() -> nix::Result<()> {
        let mut sets = Sets::get()?;
        for [_, permitted, inheritable] in &mut sets.0 {
            *inheritable = *permitted;
        }
        sets.set()?;
        let held = u64::from(sets.0[0][1]) | u64::from(sets.0[1][1]) << 32;
        for capability in (0..64).filter(|capability| Self(held).has(*capability)) {
            let raise = libc::PR_CAP_AMBIENT_RAISE;
            // SAFETY: takes plain numbers.
            Errno::result(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, 0, 0) })?;
        }
        Ok(())
    }

    /// The first 32 numbers, and the rest.
    fn halves(self) -> [u32; 2] {
        [self.0 & 0xffff_ffff, self.0 >> 32].map(|half| u32::try_from(half).unwrap_or_default())
    }
}

const fn bits(numbers: &[u8]) -> u64 {
    let (mut set, mut i) = (0, 0);
    while i < numbers.len() {
        set |= 1 << numbers[i];
        i += 1;
    }
    set
}

/// The kernel's two `struct __user_cap_data_struct`, for numbers 0 to 31 and for the rest: effective,
/// permitted, inheritable.
struct Sets([[u32; 3]; 2]);

/// The kernel's `struct __user_cap_header_struct`: version 3, this process.
const HEADER: [u32; 2] = [0x2008_0522, 0];

impl Sets {
    fn get() -> nix::Result<Self> {
        let mut sets = [[0; 3]; 2];
        // SAFETY: both are as long as the kernel's structures.
        Errno::result(unsafe { libc::syscall(libc::SYS_capget, HEADER.as_ptr(), sets.as_mut_ptr()) })?;
        Ok(Self(sets))
    }

    fn set(&self) -> nix::Result<()> {
        // SAFETY: as above.
        let set = unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), self.0.as_ptr()) };
        Errno::result(set).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_can_neither_capture_nor_trace_nor_change_links() {
        for (name, number) in [("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_CHROOT", 18), ("SYS_PTRACE", 19)] {
            assert!(!Capabilities::UNTRUSTED.has(number), "{name}");
            assert!(Capabilities::PEOPLE.has(number), "{name}");
        }
        for (name, number) in [("SYS_MODULE", 16), ("SYS_ADMIN", 21), ("MKNOD", 27)] {
            assert!(!Capabilities::PEOPLE.has(number), "{name}");
        }
    }

    #[test]
    fn a_set_is_read_as_proc_shows_it() {
        assert_eq!(Capabilities::from_status("0000000000000000\n"), Some(Capabilities::NONE));
        assert_eq!(Capabilities::from_status("00000000000005fb"), Some(Capabilities::UNTRUSTED));
        assert_eq!(Capabilities::from_status("none"), None);
    }
}

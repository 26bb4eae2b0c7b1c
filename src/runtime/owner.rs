//! A lab's owner, where several users share what labs are made of.

use std::{fmt, fs};

use nix::unistd::{Uid, geteuid};

use crate::{Error, Result};

/// The user that started a lab, on the machine it was started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    uid: Uid,
    /// Empty if unknown.
    name: String,
}

impl Owner {
    /// Returns the user that runs this program.
    pub fn me() -> Self {
        let (uid, accounts) = (geteuid(), fs::read("/etc/passwd").unwrap_or_default());
        Self { uid, name: name_of(&String::from_utf8_lossy(&accounts), uid).to_owned() }
    }

    /// Returns whether this is the user that runs this program. Machines that share an engine number their
    /// users independently, so the name counts, too.
    pub fn is_me(&self) -> bool {
        *self == Self::me()
    }

    /// Formats the owner as a label's value.
    pub fn to_label(&self) -> String {
        format!("{} {}", self.uid, self.name)
    }

    /// Parses a label's value; `None` if it is malformed.
    pub fn from_label(label: &str) -> Option<Self> {
        let (uid, name) = label.split_once(' ')?;
        Some(Self { uid: Uid::from_raw(uid.parse().ok()?), name: name.to_owned() })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { write!(f, "user {}", self.uid) } else { f.write_str(&self.name) }
    }
}

/// Refuses to change another user's lab; only root may.
///
/// # Errors
/// The lab is another user's.
pub fn check(lab: &str, owner: Option<&Owner>) -> Result<()> {
    match owner {
        Some(owner) if !owner.is_me() && !geteuid().is_root() => {
            Err(Error::lab(format!("lab \"{lab}\" is {owner}'s, who shares this engine with you"))
                .hint("give your lab another name (--lab NAME, or NETLAB_LAB), or use --runtime namespaces"))
        }
        _ => Ok(()),
    }
}

/// Returns a user's name from a file in the format of `/etc/passwd`; empty if the user has none. (The C
/// library also looks elsewhere, which it cannot do if linked statically.)
pub fn name_of(accounts: &str, user: Uid) -> &str {
    let fields = |line: &str| line.split(':').nth(2).and_then(|id| id.parse::<u32>().ok());
    let line = accounts.lines().find(|line| fields(line) == Some(user.as_raw()));
    line.and_then(|line| line.split(':').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_whose_it_is() {
        let me = Owner::me();
        assert!(Owner::from_label(&me.to_label()).unwrap().is_me());
        let other = Owner::from_label("4545 ana").unwrap();
        assert!(!other.is_me());
        assert_eq!(other.to_string(), "ana");
        let nameless = Owner { uid: Uid::from_raw(4545), name: String::new() };
        assert_eq!(Owner::from_label(&nameless.to_label()), Some(nameless.clone()));
        assert_eq!(nameless.to_string(), "user 4545");
        assert_eq!(Owner::from_label("ana"), None);
    }

    #[test]
    fn a_name_is_found_by_its_number() {
        let accounts = "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n";
        assert_eq!(name_of(accounts, Uid::from_raw(1000)), "ana");
        assert_eq!(name_of(accounts, Uid::from_raw(1001)), "");
    }
}

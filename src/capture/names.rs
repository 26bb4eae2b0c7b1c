//! Host names for addresses.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

/// The longest name that DNS allows (RFC 1035, 2.3.4).
const LONGEST: usize = 255;

/// Host names for addresses: from a plan, or from a capture's name-resolution blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(HashMap<IpAddr, String>);

impl Names {
    /// Adds a name for an address. Characters that cannot be part of a name become `?`, so that a capture cannot
    /// control the terminal.
    pub fn add(&mut self, address: IpAddr, name: &str) {
        let safe = |c: char| if c.is_alphanumeric() || "-._".contains(c) { c } else { '?' };
        let name: String = name.chars().take(LONGEST).map(safe).collect();
        if !name.is_empty() {
            self.0.insert(address, name);
        }
    }

    /// Returns the name of an address.
    pub fn get(&self, address: IpAddr) -> Option<&str> {
        self.0.get(&address).map(String::as_str)
    }

    /// Returns the name of an address, or the address itself if it has none.
    pub fn host(&self, address: IpAddr) -> String {
        self.get(address).map_or_else(|| address.to_string(), str::to_owned)
    }

    /// Returns host and port as tcpdump writes them: `client1.40312`.
    pub fn endpoint(&self, address: SocketAddr) -> String {
        format!("{}.{}", self.host(address.ip()), address.port())
    }
}

impl<A: Into<IpAddr>, S: AsRef<str>> FromIterator<(A, S)> for Names {
    fn from_iter<I: IntoIterator<Item = (A, S)>>(pairs: I) -> Self {
        let mut names = Self::default();
        for (address, name) in pairs {
            names.add(address.into(), name.as_ref());
        }
        names
    }
}

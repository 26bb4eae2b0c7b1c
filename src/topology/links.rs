//! Checks a host's links and their addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Link, Role, Segment, file, resolve::Resolver, segments::subnet_path};
use crate::{suggest::nearest, yaml::Path};

/// A link from the file, with the place of its address there.
pub(super) struct GivenLink {
    link: Link,
    path: Path,
}

impl Resolver<'_> {
    /// Returns the links of the hosts of one key.
    pub(super) fn links(&mut self, host: &file::Host, path: &Path) -> Vec<GivenLink> {
        let mut links: Vec<GivenLink> = Vec::new();
        for (i, link) in host.links.iter().flatten().enumerate() {
            let here = path.key("links").index(i);
            let (name, at, address) = match link {
                file::Link::Segment(name) => (name, here.clone(), None),
                file::Link::Full(full) => (&full.segment, here.key("segment"), full.address),
            };
            let Some(segment) = self.segment(name, &at) else { continue };
            if links.iter().any(|l| l.link.segment == segment) {
                self.wrong(&at, format!("`{name}` a second time"), "one link per segment");
            } else {
                links.push(GivenLink { link: Link { segment, address }, path: here.key("address") });
            }
        }
        if self.problems.any_about(&path.key("links")) {
            return links;
        }
        if host.links.is_none() {
            let count = if host.role == Role::Router { self.segments.len() } else { 1 };
            let default = (0..self.segments.len()).take(count);
            let default = default.map(|segment| Link { segment, address: None });
            links.extend(default.map(|link| GivenLink { link, path: path.key("address") }));
        }
        self.first_address(host, path, &mut links);
        let segments = Path::default().key("segments");
        if host.role == Role::Router && links.len() < 2 && !self.problems.any_about(&segments) {
            let expected = "at least two segments, in the file and in the host's `links`";
            self.problems.add(|| self.document.key(path, "a router on one segment").expected(expected));
        }
        links
    }

    /// `address` is short for an address of the first link.
    fn first_address(&mut self, host: &file::Host, path: &Path, links: &mut [GivenLink]) {
        let (Some(address), Some(first)) = (host.address, links.first_mut()) else { return };
        let path = path.key("address");
        if first.link.address.is_some() {
            self.wrong(&path, "the first link has an address, too", "one address per link");
        } else {
            *first = GivenLink { link: Link { address: Some(address), ..first.link }, path };
        }
    }

    fn segment(&mut self, name: &str, path: &Path) -> Option<usize> {
        let found = self.segments.iter().position(|s| s.name == name);
        if found.is_none() && !self.problems.any_about(&Path::default().key("segments").key(name)) {
            let names = || self.segments.iter().map(|s| s.name.as_str());
            self.problems.add(|| {
                let list: Vec<_> = names().map(|n| format!("`{n}`")).collect();
                let problem = self.document.value(path, format!("no segment `{name}`"));
                let problem = problem.expected(format!("one of the file's: {}", list.join(", ")));
                problem.suggest(nearest(name, names()))
            });
        }
        found
    }

    /// Checks the addresses of the `i`th host of a key.
    pub(super) fn addresses(&mut self, host: &str, links: &[GivenLink], i: u32) -> bool {
        let mut right = true;
        for given in links {
            let Link { segment, address: Some(address) } = given.nth(i) else { continue };
            let Segment { name, subnet } = &self.segments[segment];
            let message = match subnet {
                None if self.problems.any_about(&subnet_path(name)) => continue,
                None => format!("the segment `{name}` has no subnet, so its addresses are chosen"),
                Some(subnet) => match unusable(*subnet, address) {
                    Some(why) => format!("{address} is {why}"),
                    None => match self.addresses.insert((segment, address), host.to_owned()) {
                        Some(other) => format!("{address} is also the address of `{other}`"),
                        None => continue,
                    },
                },
            };
            let expected = match subnet {
                None => format!("no address, or a `subnet` for `{name}`"),
                Some(s) => format!("a free address from {} to {}", nth_address(s.network(), 2), last(*s)),
            };
            self.problems.add(|| self.document.value(&given.path, message).expected(expected));
            right = false;
        }
        right
    }
}

impl GivenLink {
    /// Returns the link of the `i`th host of a key: addresses count up.
    pub(super) fn nth(&self, i: u32) -> Link {
        Link { address: self.link.address.map(|a| nth_address(a, i)), ..self.link }
    }
}

fn nth_address(first: Ipv4Addr, n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(first).saturating_add(n))
}

fn last(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.broadcast()) - 1)
}

/// Returns why a host cannot have this address, if it cannot.
fn unusable(subnet: Ipv4Net, address: Ipv4Addr) -> Option<String> {
    match address {
        a if !subnet.contains(&a) => Some(format!("outside of {subnet}")),
        a if a == subnet.network() => Some("the subnet's own address".into()),
        a if a == subnet.broadcast() => Some("the broadcast address".into()),
        a if a == nth_address(subnet.network(), 1) => Some("the bridge's address".into()),
        _ => None,
    }
}

//! Checks a file's segments.

use ipnet::Ipv4Net;

use super::{
    Segment,
    addresses::{overlap, prefix_for},
    file::File,
    resolve::Resolver,
};
use crate::yaml::Path;

/// There are automatic subnets for this many, whatever the number of hosts on each.
const MAX_SEGMENTS: usize = 100;

impl Resolver<'_> {
    /// Adds the file's segments, or the default one if it has none.
    pub(super) fn segments(&mut self, file: &File) {
        let Some(segments) = &file.segments else {
            self.segments.push(Segment { name: "lan".into(), subnet: None });
            return;
        };
        if segments.len() > MAX_SEGMENTS {
            let path = Path::default().key("segments");
            let problem = || self.document.key(&path, format!("{} segments", segments.len()));
            self.problems.add(|| problem().expected(format!("at most {MAX_SEGMENTS}")));
            // Each would be compared with every other one.
            return;
        }
        for (name, segment) in segments {
            let text = segment.as_ref().and_then(|s| s.subnet.as_deref());
            let subnet = text.and_then(|text| self.subnet(text, &subnet_path(name)));
            self.segments.push(Segment { name: name.clone(), subnet });
        }
    }

    fn subnet(&mut self, text: &str, path: &Path) -> Option<Ipv4Net> {
        let Ok(subnet) = text.parse::<Ipv4Net>() else {
            let expected = "four numbers up to 255, and a prefix up to 30";
            self.wrong(path, format!("`{text}` is not a subnet"), expected);
            return None;
        };
        let whole = subnet.trunc();
        let other = self.segments.iter().find(|s| s.subnet.is_some_and(|s| overlap(s, whole)));
        if let Some(other) = other {
            let message = format!("overlaps with the segment `{}`", other.name);
            self.wrong(path, message, "a subnet of its own");
        } else if whole != subnet {
            let problem = || self.document.value(path, "has bits set after the prefix");
            self.problems.add(|| problem().expected("the subnet's first address").suggest(Some(whole)));
        } else if !(8..=30).contains(&subnet.prefix_len()) {
            self.wrong(path, format!("a prefix of {}", subnet.prefix_len()), "a prefix from 8 to 30");
        } else if !for_hosts(subnet) {
            self.wrong(path, "not for hosts", "a subnet of unicast addresses, e.g. `198.18.5.0/24`");
        } else {
            return Some(subnet);
        }
        None
    }

    /// Checks that every subnet has room for the hosts on it.
    pub(super) fn room(&mut self) {
        for (i, segment) in self.segments.iter().enumerate() {
            let Some(subnet) = segment.subnet else { continue };
            let hosts = self.hosts.iter().filter(|h| h.links.iter().any(|l| l.segment == i)).count();
            let longest = prefix_for(hosts);
            if subnet.prefix_len() > longest {
                let path = subnet_path(&segment.name);
                let problem = || self.document.value(&path, format!("no room for {hosts} hosts"));
                self.problems.add(|| problem().expected(format!("a prefix of at most {longest}")));
            }
        }
    }
}

/// Returns the path of a segment's subnet in the file.
pub(super) fn subnet_path(segment: &str) -> Path {
    Path::default().key("segments").key(segment).key("subnet")
}

/// Returns whether hosts may have addresses of this subnet at all.
fn for_hosts(subnet: Ipv4Net) -> bool {
    let no_hosts = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];
    !no_hosts.iter().any(|n| n.parse().is_ok_and(|n| overlap(subnet, n)))
}

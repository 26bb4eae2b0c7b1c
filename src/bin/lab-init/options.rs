//! The arguments of `lab-init`, as a runtime passes them.

use std::{ffi::OsString, net::Ipv4Addr, path::PathBuf, str::FromStr};

use ipnet::Ipv4Net;
use netlab::topology::Route;

/// What to do besides waiting for orphans.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How many links to wait for; 0 to use those that exist.
    pub links: usize,
    /// A file to create when the network is ready.
    pub ready: Option<PathBuf>,
    /// Whether to forward packets between the host's links: it is a router.
    pub forward: bool,
    /// Routes to segments that the host is not attached to.
    pub routes: Vec<Route>,
    /// Whether untrusted programs run here; see [`netlab::topology::Plan::untrusted`].
    pub untrusted: bool,
    /// Whether the network is prepared from outside, because this host has no right to.
    pub networked: bool,
    /// The host's own command, for a shell.
    pub command: Option<String>,
}

impl Options {
    /// Parses the arguments; an error is one line for people.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut arguments = words(arguments)?.into_iter().peekable();
        let mut options = Self::default();
        while let Some(option) = arguments.next_if(|a| a.starts_with("--")) {
            match option.as_str() {
                "--" => break,
                "--forward" => options.forward = true,
                "--links" => options.links = number("--links", arguments.next())?,
                "--ready" => options.ready = Some(arguments.next().ok_or("--ready needs a file")?.into()),
                "--networked" => options.networked = true,
                "--untrusted" => options.untrusted = true,
                "--route" => options.routes.push(route(arguments.next(), arguments.next())?),
                _ => return Err(format!("unknown option: {option}")),
            }
        }
        let words: Vec<_> = arguments.collect();
        options.command = (!words.is_empty()).then(|| words.join(" "));
        Ok(options)
    }
}

/// Converts arguments to text.
pub fn words(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, String> {
    let word = |a: OsString| a.into_string().map_err(|a| format!("not UTF-8: {}", a.to_string_lossy()));
    arguments.into_iter().map(word).collect()
}

/// Parses the number that an option takes.
pub fn number<T: FromStr>(option: &str, text: Option<String>) -> Result<T, String> {
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{option} needs a number"))
}

fn route(subnet: Option<String>, via: Option<String>) -> Result<Route, String> {
    let (Some(subnet), Some(via)) = (subnet, via) else {
        return Err("--route needs a subnet and a router's address".to_owned());
    };
    let to: Ipv4Net = subnet.parse().map_err(|_| format!("not a subnet: {subnet}"))?;
    let via: Ipv4Addr = via.parse().map_err(|_| format!("not an address: {via}"))?;
    Ok(Route { to, via })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_come_before_the_command() {
        assert_eq!(parse("").unwrap(), Options::default());
        let all = parse("--forward --route 198.18.1.0/24 198.18.0.2 -- tcpechod 8007").unwrap();
        assert!(all.forward);
        let all = parse("--links 2 --ready /run/ready").unwrap();
        assert_eq!((all.links, all.ready.as_deref()), (2, Some(Path::new("/run/ready"))));
        let all = parse("--forward --route 198.18.1.0/24 198.18.0.2 -- tcpechod 8007").unwrap();
        assert_eq!(all.routes[0].to.to_string(), "198.18.1.0/24");
        assert_eq!(all.routes[0].via.to_string(), "198.18.0.2");
        assert_eq!(all.command.as_deref(), Some("tcpechod 8007"));
        assert_eq!(parse("make --forward").unwrap().command.as_deref(), Some("make --forward"));
    }

    #[test]
    fn a_wrong_option_is_named() {
        assert_eq!(parse("--froward").unwrap_err(), "unknown option: --froward");
        assert_eq!(parse("--route 10.0.0.0/40 10.0.0.1").unwrap_err(), "not a subnet: 10.0.0.0/40");
        assert!(parse("--route 10.0.0.0/8").unwrap_err().contains("--route needs"));
        assert_eq!(parse("--links two").unwrap_err(), "--links needs a number");
    }
}

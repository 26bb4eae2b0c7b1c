//! Topology files: the plans they make, and the problems reported in wrong ones.

use std::{collections::HashSet, path::Path, process::Command};

use ipnet::Ipv4Net;
use netlab::{
    Kind, Result,
    topology::{self, Limits, Plan, Role, Topology},
    yaml::{Document, Problems},
};
use proptest::prelude::*;

fn parse(text: &[u8]) -> Result<Topology> {
    Topology::from_document(Document::parse("lab.yaml", text)?, Path::new(""))
}

fn plan(text: &str) -> Plan {
    parse(text.as_bytes()).unwrap().plan("test", &[]).unwrap()
}

/// Returns what is wrong, one line per problem: `line:column path: message; expected …; did you mean …?`.
fn wrong(text: impl AsRef<[u8]>) -> String {
    let error = parse(text.as_ref()).expect_err("this file is wrong");
    assert_eq!(error.kind, Kind::Usage);
    let problems = Problems::of(&error).expect("problems with their places").to_json();
    let lines = problems.as_array().unwrap().iter().map(|p| {
        let text = |key: &str| p[key].as_str().map(str::to_owned);
        let mut line =
            format!("{}:{} {}: {}", p["line"], p["column"], text("path").unwrap(), text("message").unwrap());
        line += &text("expected").map(|e| format!("; expected {e}")).unwrap_or_default();
        line + &text("suggestion").map(|s| format!("; did you mean {s}?")).unwrap_or_default()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A file whose only host is `a`, with these keys.
fn host(says: &str) -> String {
    format!("segments: {{lan: {{subnet: 198.18.5.0/24}}, office: }}\nhosts: {{\n  a: {{{says}}}\n}}\n")
}

#[test]
fn the_default_lab_is_a_server_and_two_clients() {
    let plan = topology::load(None).unwrap().plan("lab", &[]).unwrap();
    let hosts: Vec<_> = plan.hosts.iter().map(|h| (&*h.name, h.role, h.address().to_string())).collect();
    assert_eq!(
        hosts,
        [
            ("server", Role::Server, "198.18.0.2".into()),
            ("client1", Role::Client, "198.18.0.3".into()),
            ("client2", Role::Client, "198.18.0.4".into()),
        ]
    );
    assert_eq!(plan.hosts[0].run.as_deref(), Some("tcpechod 8007"));
    assert_eq!(plan.segments[0].subnet.to_string(), "198.18.0.0/24");
}

#[test]
fn a_plan_stays_clear_of_what_is_taken() {
    let taken: [Ipv4Net; 2] = ["198.18.0.0/23".parse().unwrap(), "198.18.2.64/26".parse().unwrap()];
    let plan = topology::load(None).unwrap().plan("lab", &taken).unwrap();
    assert_eq!(plan.segments[0].subnet.to_string(), "198.18.3.0/24");

    let everything = ["198.18.0.0/15".parse().unwrap()];
    let error = topology::load(None).unwrap().plan("lab", &everything).unwrap_err();
    assert_eq!(error.kind, Kind::Lab);

    let fixed = parse(host("").as_bytes()).unwrap();
    let error = fixed.plan("lab", &["198.18.5.128/25".parse().unwrap()]).unwrap_err();
    let shown = Problems::of(&error).unwrap().to_string();
    assert!(shown.contains("lab.yaml:1:26"), "{shown}");
    assert!(shown.contains("overlaps with 198.18.5.128/25, which is in use"), "{shown}");
}

#[test]
fn lab_names_are_checked() {
    for name in ["lab", "exam-2", "7", &"x".repeat(32)] {
        topology::check_lab_name(name).unwrap();
    }
    for name in ["", "-x", "a b", "a/b", "é", "..", &"x".repeat(33)] {
        assert_eq!(topology::check_lab_name(name).unwrap_err().kind, Kind::Usage, "{name}");
    }
}

#[test]
fn everything_a_host_can_have_arrives_in_the_plan() {
    let plan = plan(
        "segments: {lan: {subnet: 198.18.5.0/24}, office: }
hosts:
  a:
    address: 198.18.5.10
    count: 2
    links: [lan, {segment: office}]
    env: {K: v}
    mounts: [\"./src/../src:/x/../lab:ro\", {source: /tmp, target: /t}]
    limits: {memory: 256MiB, cpus: 0.5, pids: 200}
  b: ",
    );
    let [a1, a2, b] = &plan.hosts[..] else { panic!("{plan:?}") };
    assert_eq!((&*a1.name, &*a2.name, &*b.name), ("a1", "a2", "b"));
    assert_eq!(a1.address().to_string(), "198.18.5.10");
    assert_eq!(a2.address().to_string(), "198.18.5.11");
    assert_eq!(b.address().to_string(), "198.18.5.2");
    assert_eq!(a2.links[1].address.to_string(), "198.18.0.3");
    assert_eq!(a1.env["K"], "v");
    let folder = std::env::current_dir().unwrap().join("src").canonicalize().unwrap();
    assert_eq!(
        (&a1.mounts[0].source, a1.mounts[0].target.to_str(), a1.mounts[0].read_only),
        (&folder, Some("/lab"), true)
    );
    assert!(!a1.mounts[1].read_only);
    assert_eq!(
        (a1.limits.memory, a1.limits.millicpus, a1.limits.pids),
        (Some(256 << 20), Some(500), Some(200))
    );
}

#[test]
fn a_host_is_bounded_unless_its_file_says_otherwise() {
    let plan = plan(
        "hosts:
  usual:
  own: {limits: {pids: 50, disk: 16MiB}}
  free: {limits: {pids: none, memory: none, disk: none}}
",
    );
    let limits = |name: &str| plan.host(name).unwrap().limits.clone();
    let usual = limits("usual");
    let (memory, disk) = (usual.memory.unwrap(), usual.disk.unwrap());
    assert!((64 << 20..=1 << 30).contains(&memory) && disk == memory / 2, "{usual:?}");
    assert_eq!((usual.pids, usual.millicpus), (Some(500), None));
    assert_eq!(limits("own"), Limits { pids: Some(50), disk: Some(16 << 20), ..usual });
    assert_eq!(limits("free"), Limits::default());
}

#[test]
fn hosts_learn_the_shortest_way_to_every_segment() {
    // s1 - r1 - s2 - r2 - s3, and s4 that nothing leads to.
    let plan = plan(
        "segments: {s1: , s2: , s3: , s4: }
hosts:
  r1: {role: router, links: [s1, s2]}
  r2: {role: router, links: [s2, s3]}
  a: {links: [s1]}
  m: {links: [s2]}
  z: {links: [s4]}",
    );
    let routes = |name: &str| -> Vec<_> {
        plan.host(name).unwrap().routes.iter().map(|r| format!("{} via {}", r.to, r.via)).collect()
    };
    assert_eq!(routes("a"), ["198.18.1.0/24 via 198.18.0.2", "198.18.2.0/24 via 198.18.0.2"]);
    assert_eq!(routes("m"), ["198.18.0.0/24 via 198.18.1.2", "198.18.2.0/24 via 198.18.1.3"]);
    assert_eq!(routes("r1"), ["198.18.2.0/24 via 198.18.1.3"]);
    assert!(routes("z").is_empty());
}

#[test]
fn a_router_without_links_is_on_every_segment() {
    let plan = plan("segments: {a: , b: }\nhosts: {r: {role: router}, h: }");
    assert_eq!(plan.host("r").unwrap().links.len(), 2);
    assert_eq!(plan.host("h").unwrap().links.len(), 1);
}

#[test]
fn many_hosts_get_a_larger_subnet() {
    let plan = plan("hosts: {c: {count: 1000}}");
    assert_eq!(plan.segments[0].subnet.to_string(), "198.18.0.0/22");
    assert_eq!(plan.hosts[999].address().to_string(), "198.18.3.233");
}

#[test]
fn yaml_has_its_own_mistakes() {
    for (text, expected) in [
        ("", "1:1 : the file is empty"),
        ("# nothing\n", "1:1 : the file is empty"),
        ("hosts:\n\tserver: {}\n", "2:1 hosts: a tab in the indentation; expected spaces"),
        ("hosts: {a: }\n---\nhosts: {b: }\n", "2:1 : a second document; expected one document a file"),
        ("hosts:\n  a: {}\n  a: {}\n", "3:3 hosts.a: a second time, after line 2; expected each key once"),
        ("hosts: {a: !lab {}}\n", "1:12 hosts.a: a tag: `!lab`; expected no tags"),
        ("hosts: {? [a] : b}\n", "1:11 hosts: a key that is not a word; expected `key: value`"),
        ("hosts: &a {b: *a}\n", "1:15 hosts.b: an alias inside of what it names"),
        ("hosts: {a: \"x\\0\"}\n", "1:12 hosts.a: a character of code 0"),
        (
            "hosts: {a: &x {count: 2}, b: {<<: *x}}\n",
            "1:31 hosts.b.<<: a merge key, which YAML 1.2 no longer has; expected the keys themselves",
        ),
        ("just words\n", "1:1 : wrong value: the text `just words`; expected a mapping, `key: value`"),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
    assert_eq!(wrong(b"hosts:\n  \xFF: {}\n"), "2:3 : the file is not text; expected text in UTF-8");
    assert_eq!(wrong(b"\xFF\xFEh\0o\0"), "1:1 : the file is not text; expected text in UTF-8");
    assert_eq!(wrong(vec![b'#'; 2 << 20]), "1:1 : the file is too long; expected at most 1024 KiB");
    assert!(wrong("- ".repeat(100_000)).contains("too deep; expected at most 32 levels"));
    assert!(wrong("[".repeat(100_000)).contains("too deep; expected at most 32 levels"));
    assert!(wrong("{a: ".repeat(100_000)).contains("too deep; expected at most 32 levels"));
    let lines = (1..9).map(|i| format!("b{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")));
    let bomb = "b0: &a0 x\n".to_owned() + &lines.collect::<String>();
    assert!(wrong(bomb).contains("too many values"));
}

#[test]
fn what_is_no_yaml_is_told_in_plain_words() {
    for (text, expected) in [
        ("hosts:\n  a:\n    run:x\n\n    # why\n    count: 2\n", "3:5 hosts.a: no colon"),
        ("hosts:\n  a:\n    run: x\n   count: 2\n", "4:4 hosts.a: a line out of place"),
        ("hosts:\n  a:\n    run: echo a: b\n", "3:16 hosts.a.run: a colon that does not belong here"),
        ("hosts: {a: {count: 2}\n", "1:22 hosts.a: a bracket that is not closed, or a missing comma"),
        ("hosts:\n  - a\n  b:\n", "3:3 hosts[0]: a line out of place"),
        ("hosts:\n  a: \"open\n", "2:6 hosts.a: a quote that is not closed"),
        ("hosts:\n  a: 'it's'\n", "2:10 hosts.a: something behind the closing quote"),
        ("hosts:\n  a: @x\n", "2:6 hosts.a: a character that no text begins with"),
        ("hosts: {a: *nobody}\n", "1:12 hosts.a: an alias that names nothing"),
        ("hosts: {a: & x}\n", "1:12 hosts.a: an `&` or `*` with no name behind it"),
        ("hosts:\n  a:\n    role:\tserver\n    count: 2\n", "3:10 hosts.a: a tab behind the colon"),
        ("hosts:\n  a: \"\\d\"\n", "2:6 hosts.a: a backslash that means nothing here"),
        ("hosts:\n  a: {role: \"it's\"  # why {\nb: {}\n", "2:6 hosts.a.role: a bracket that is not closed"),
        (
            "hosts:\n  a:\n    links:\n      - {segment: lan\n    count: 2\n",
            "4:9 hosts.a.links[0].segment: a bracket that is not closed",
        ),
        ("hosts: [\n", "1:8 hosts: a bracket that is not closed"),
        ("hosts: {a: [}, b]}\n", "1:13 hosts.a: a value is missing here"),
        ("hosts:\n  a:\n    role: [client\n  b:\n", "3:11 hosts.a.role: a bracket that is not closed"),
        (
            "hosts:\n  a:\n    run: \"open\n  b:\n    count: 2\n",
            "3:10 hosts.a.run: a quote that is not closed",
        ),
        ("  office: {}\n  lab: {}\nhosts: {}\n", "1:3 : an indented line that belongs to nothing"),
    ] {
        assert_eq!(wrong(text).split("; expected ").next().unwrap(), expected, "{text}");
    }
}

/// The parser notices what is missing in a line only at the colon of the next one.
#[test]
fn the_line_that_is_wrong_is_the_one_that_is_shown() {
    for (line, expected) in [
        ("role:server", "3:5 hosts.a: no colon"),
        ("role = server", "3:5 hosts.a: no colon"),
        ("role：server", "3:9 hosts.a: a character that only looks like a colon"),
        ("role:\u{a0}server", "3:10 hosts.a: a character that only looks like a space"),
        ("\u{a0}role:server", "3:5 hosts.a: a character that only looks like a space"),
    ] {
        let text = format!("hosts:\n  a:\n    {line}\n\n    # why\n    count: 2\n    run: x\n");
        assert_eq!(wrong(&text).split("; expected ").next().unwrap(), expected, "{text}");
    }
    let spaces = wrong("hosts:\n  a:\n\u{a0}\u{a0}\u{a0}\u{a0}role: server\n    run: x\n");
    assert!(
        spaces.starts_with("3:1 ") && spaces.contains("a character that only looks like a space"),
        "{spaces}"
    );
    for (text, expected) in [
        ("role:server\nrun:x\ncount: 2\n", "1:1 : no colon"),
        ("a:\n- role:server\n  count: 2\n", "2:3 a[0]: no colon"),
        ("a:\n- b: 1\n- role:server\n  count: 2\n", "3:3 a[1]: no colon"),
        // Text that continues below its key has no colon either.
        ("a:\n  say: one\n    two\n    three: 3\n", "4:10 a.say: a colon that does not belong here"),
        ("a: {b:\n  c\n  d: e}\n", "3:4 a.b: a bracket that is not closed, or a missing comma"),
    ] {
        assert_eq!(wrong(text).split("; expected ").next().unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_suggested_is_right_and_spelled_as_it_was() {
    for (says, expected) in [
        (
            "role: 65536",
            "3:13 hosts.a.role: wrong value: the number 65536; expected one of `server`, `client`, `router`",
        ),
        (
            "run: 1.10",
            "3:12 hosts.a.run: wrong value: the number 1.10; expected text that is not empty; did you mean \"1.10\"?",
        ),
        (
            "run: 007",
            "3:12 hosts.a.run: wrong value: the number 007; expected text that is not empty; did you mean \"007\"?",
        ),
        (
            "run: True",
            "3:12 hosts.a.run: wrong value: `True`; expected text that is not empty; did you mean \"True\"?",
        ),
        (
            "run: 99999999999999999999",
            "3:12 hosts.a.run: wrong value: the number 99999999999999999999; expected text that is not empty; did you mean \"99999999999999999999\"?",
        ),
        (
            "env: {A: &x 0x10, B: *x}",
            "3:16 hosts.a.env.A: wrong value: the number 16; expected text; did you mean \"16\"?\n3:28 hosts.a.env.B: wrong value: the number 16; expected text; did you mean \"16\"?",
        ),
    ] {
        assert_eq!(wrong(host(says)), expected, "{says}");
    }
}

#[test]
fn places_are_right_whatever_the_text() {
    let expected = "2:3 hosts.é: wrong name; expected a hostname (RFC 1123): lower-case letters, digits and dashes, starting with a letter";
    assert_eq!(wrong("hosts: # 😀é\n  é: {}\n"), expected);
    assert_eq!(wrong("\u{FEFF}hosts: # with a byte-order mark\n  é: {}\n"), expected);
    assert_eq!(wrong("hosts:\r\n  é: {}\r\n"), expected);
    assert_eq!(plan("hosts: {a: &x {env: {K: no}}, b: *x}").hosts[1].env["K"], "no");
    assert_eq!(plan("hosts: {a: {env: {&k K: *k}}}").hosts[0].env["K"], "K", "a key may be named, too");
}

#[test]
fn the_schema_is_kept_to() {
    for (says, expected) in [
        (
            "cuont: 2",
            "3:7 hosts.a.cuont: unknown key; expected one of `address`, `count`, `env`, `limits`, `links`, `mounts`, `role`, `run`; did you mean count?",
        ),
        (
            "count: two",
            "3:14 hosts.a.count: wrong value: the text `two`; expected a whole number from 1 to 1000",
        ),
        (
            "count: \"2\"",
            "3:14 hosts.a.count: wrong value: the text `2`; expected a whole number from 1 to 1000; did you mean 2?",
        ),
        ("count: 0", "3:14 hosts.a.count: wrong value: the number 0; expected a whole number from 1 to 1000"),
        (
            "count: 1.0",
            "3:14 hosts.a.count: wrong value: the number 1.0; expected a whole number from 1 to 1000",
        ),
        (
            "role: sever",
            "3:13 hosts.a.role: wrong value: the text `sever`; expected one of `server`, `client`, `router`; did you mean server?",
        ),
        ("role: ", "3:11 hosts.a.role: wrong value: nothing; expected one of `server`, `client`, `router`"),
        ("run: [ls]", "3:12 hosts.a.run: wrong value: a list; expected text that is not empty"),
        ("run: \"\"", "3:12 hosts.a.run: wrong value: empty text; expected text that is not empty"),
        (
            "env: {PORT: 8007}",
            "3:19 hosts.a.env.PORT: wrong value: the number 8007; expected text; did you mean \"8007\"?",
        ),
        (
            "env: {1X: a}",
            "3:13 hosts.a.env.1X: wrong name; expected a variable's name: letters, digits and `_`, not starting with a digit",
        ),
        (
            "address: 198.18.5",
            "3:16 hosts.a.address: wrong value: the text `198.18.5`; expected an IPv4 address",
        ),
        ("links: []", "3:14 hosts.a.links: wrong value: an empty list; expected a list that is not empty"),
        (
            "links: [5]",
            "3:15 hosts.a.links[0]: wrong value: the number 5; expected text or a mapping, `key: value`; did you mean \"5\"?",
        ),
        (
            "links: [{adress: 198.18.5.7}]",
            "3:15 hosts.a.links[0].segment: missing; expected the key `segment`\n3:16 hosts.a.links[0].adress: unknown key; expected one of `address`, `segment`; did you mean address?",
        ),
        (
            "mounts: [x]",
            "3:16 hosts.a.mounts[0]: wrong value: the text `x`; expected `source:/target` or `source:/target:ro`",
        ),
        (
            "mounts: [{source: /, target: /l, read_only: yes}]",
            "3:51 hosts.a.mounts[0].read_only: wrong value: the text `yes`; expected `true` or `false`; did you mean true?",
        ),
        (
            "limits: {memory: 256M}",
            "3:24 hosts.a.limits.memory: wrong value: the text `256M`; expected an amount of memory, e.g. `256MiB`, or `none`; the units are KiB, MiB and GiB",
        ),
        (
            "limits: {cpus: 0}",
            "3:22 hosts.a.limits.cpus: wrong value: the number 0; expected a number from 0.01 to 1024",
        ),
    ] {
        assert_eq!(wrong(host(says)), expected, "{says}");
    }
    assert_eq!(wrong("segments: {lan: }\n"), "1:1 hosts: missing; expected the key `hosts`");
    assert_eq!(
        wrong("hosts: {}\n"),
        "1:8 hosts: wrong value: an empty mapping; expected at least one `name: …`"
    );
    assert!(wrong("hosts: {My_Host: }\n").ends_with("did you mean my-host?"));
}

#[test]
fn what_no_schema_can_say_is_checked_too() {
    for (says, expected) in [
        (
            "links: [lann]",
            "3:15 hosts.a.links[0]: no segment `lann`; expected one of the file's: `lan`, `office`; did you mean lan?",
        ),
        (
            "links: [{segment: ofice}]",
            "3:25 hosts.a.links[0].segment: no segment `ofice`; expected one of the file's: `lan`, `office`; did you mean office?",
        ),
        ("links: [lan, lan]", "3:20 hosts.a.links[1]: `lan` a second time; expected one link per segment"),
        (
            "address: 10.0.0.1",
            "3:16 hosts.a.address: 10.0.0.1 is outside of 198.18.5.0/24; expected a free address from 198.18.5.2 to 198.18.5.254",
        ),
        (
            "address: 198.18.5.0",
            "3:16 hosts.a.address: 198.18.5.0 is the subnet's own address; expected a free address from 198.18.5.2 to 198.18.5.254",
        ),
        (
            "address: 198.18.5.1",
            "3:16 hosts.a.address: 198.18.5.1 is the bridge's address; expected a free address from 198.18.5.2 to 198.18.5.254",
        ),
        (
            "address: 198.18.5.255",
            "3:16 hosts.a.address: 198.18.5.255 is the broadcast address; expected a free address from 198.18.5.2 to 198.18.5.254",
        ),
        (
            "address: 198.18.5.254, count: 2",
            "3:16 hosts.a.address: 198.18.5.255 is the broadcast address; expected a free address from 198.18.5.2 to 198.18.5.254",
        ),
        (
            "links: [{segment: office, address: 10.0.0.1}]",
            "3:42 hosts.a.links[0].address: the segment `office` has no subnet, so its addresses are chosen; expected no address, or a `subnet` for `office`",
        ),
        (
            "address: 198.18.5.7, links: [{segment: lan, address: 198.18.5.7}]",
            "3:16 hosts.a.address: the first link has an address, too; expected one address per link",
        ),
        (
            "role: router, links: [lan]",
            "3:3 hosts.a: a router on one segment; expected at least two segments, in the file and in the host's `links`",
        ),
        ("count: 500", "1:26 segments.lan.subnet: no room for 500 hosts; expected a prefix of at most 23"),
        (
            "mounts: [\"/nowhere:/lab\"]",
            "3:16 hosts.a.mounts[0]: there is no /nowhere; expected a file or folder of this machine",
        ),
        (
            "mounts: [\"/tmp:/x/../proc/\"]",
            "3:16 hosts.a.mounts[0]: a host needs its own /proc; expected another target, e.g. `/lab`",
        ),
        (
            "mounts: [\"/tmp:/l\", \"/tmp:/l/\"]",
            "3:27 hosts.a.mounts[1]: /l a second time; expected one mount per target",
        ),
        ("}, a1: {}, a: {count: 2", "3:18 hosts.a: a second time, after line 3; expected each key once"),
        (
            "}, b1: {}, b: {count: 2",
            "3:18 hosts.b: makes the host `b1`, and so does `b1`; expected a hostname of its own, of at most 63 characters",
        ),
        (
            "address: 198.18.5.7}, b: {address: 198.18.5.7",
            "3:42 hosts.b.address: 198.18.5.7 is also the address of `a`; expected a free address from 198.18.5.2 to 198.18.5.254",
        ),
        ("count: 600}, b: {count: 600", "2:1 hosts: 1200 hosts; expected at most 1000"),
    ] {
        assert_eq!(wrong(host(says)), expected, "{says}");
    }
    for (subnets, expected) in [
        (
            "{a: {subnet: 198.18.5.7/24}}",
            "1:24 segments.a.subnet: has bits set after the prefix; expected the subnet's first address; did you mean 198.18.5.0/24?",
        ),
        (
            "{a: {subnet: 198.18.300.0/24}}",
            "1:24 segments.a.subnet: `198.18.300.0/24` is not a subnet; expected four numbers up to 255, and a prefix up to 30",
        ),
        (
            "{a: {subnet: 198.18.5.0}}",
            "1:24 segments.a.subnet: wrong value: the text `198.18.5.0`; expected a subnet, e.g. `198.18.5.0/24`",
        ),
        (
            "{a: {subnet: 198.18.5.0/31}}",
            "1:24 segments.a.subnet: a prefix of 31; expected a prefix from 8 to 30",
        ),
        (
            "{a: {subnet: 127.0.1.0/24}}",
            "1:24 segments.a.subnet: not for hosts; expected a subnet of unicast addresses, e.g. `198.18.5.0/24`",
        ),
        (
            "{a: {subnet: 198.18.5.0/24}, b: {subnet: 198.18.5.0/25}}",
            "1:52 segments.b.subnet: overlaps with the segment `a`; expected a subnet of its own",
        ),
    ] {
        assert_eq!(wrong(format!("segments: {subnets}\nhosts: {{h: }}\n")), expected, "{subnets}");
    }
}

#[test]
fn a_mistake_brings_no_others_with_it() {
    // A wrong segment still counts as a segment and a wrong link as a link, but a wrong address not as an address.
    for text in [
        "segments: {a: 5}\nhosts: {h: {links: [a]}}\n",
        "segments: 5\nhosts: {h: {links: [a]}}\n",
        "segments: {a: {subnet: x}}\nhosts: {h: {links: [a], address: 198.18.5.7}}\n",
        "segments: {a: , b: }\nhosts: {r: {role: router, links: [a, {segmnt: b, segment: b}]}}\n",
        "segments: {a: , b: }\nhosts: {r: {role: router, links: [a, 5]}}\n",
        "segments: {a: , B: }\nhosts: {r: {role: router}}\n",
        "hosts: {a: {count: x, address: 198.18.5.7}}\n",
    ] {
        let wrong = wrong(text);
        let own = if text.contains("count: x") { 2 } else { 1 };
        assert_eq!(wrong.lines().count(), own, "{text}{wrong}");
    }
}

#[test]
fn all_problems_are_shown_at_once_with_their_lines() {
    let text =
        "segments:\n  lan:\nhosts:\n  server:\n    role: sever\n    cuont: 2\n  client:\n    links: [lna]\n";
    let error = parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.message, "lab.yaml: 3 problems");
    insta::assert_snapshot!(Problems::of(&error).unwrap(), @r"
    error: hosts.server.role: wrong value: the text `sever`
     --> lab.yaml:5:11
      |
    5 |     role: sever
      |           ^^^^^ expected one of `server`, `client`, `router`
      |
      = help: did you mean `server`?

    error: hosts.server.cuont: unknown key
     --> lab.yaml:6:5
      |
    6 |     cuont: 2
      |     ^^^^^ expected one of `address`, `count`, `env`, `limits`, `links`, `mounts`, `role`, `run`
      |
      = help: did you mean `count`?

    error: hosts.client.links[0]: no segment `lna`
     --> lab.yaml:8:13
      |
    8 |     links: [lna]
      |             ^^^ expected one of the file's: `lan`
      |
      = help: did you mean `lan`?
    ");
}

#[test]
fn control_characters_are_not_printed() {
    let error = parse(b"hosts: {a: {role: \"\\e[31mred\", \"\\e[2J\": x}}\n").unwrap_err();
    let shown = Problems::of(&error).unwrap().render(false);
    assert!(!shown.contains('\x1b'), "{shown}");
}

#[test]
fn the_committed_files_are_right() {
    let schema = std::fs::read_to_string("topology/schema.json").unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(
        schema == topology::schema(),
        "topology/schema.json is old: `netlab schema >topology/schema.json`"
    );

    let mut hosts = Vec::new();
    for file in std::fs::read_dir("topology").unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "yaml") {
            let plan = topology::load(Some(&file)).unwrap().plan("test", &[]).unwrap();
            hosts.push((file.file_stem().unwrap().to_str().unwrap().to_owned(), plan.hosts.len()));
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# yaml-language-server: $schema=schema.json\n"), "{}", file.display());
        }
    }
    hosts.sort();
    assert_eq!(hosts, [("class".into(), 41), ("lab".into(), 3), ("router".into(), 4)]);
}

fn netlab(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_netlab")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_has_no_end_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["lab.yaml", "netlab.yaml"] {
        let pipe = folder.path().join(name);
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let said = netlab(&["validate", pipe.to_str().unwrap()]);
        assert!(said.0 == Some(2) && said.2.contains("it is not a regular file"), "{said:?}");
    }
    let said = netlab(&["validate", "/dev/zero"]);
    assert!(said.0 == Some(2) && said.2.contains("it is not a regular file"), "{said:?}");
    // Files opened by the shell are read all the same.
    let mut given = assert_cmd::Command::cargo_bin("netlab").unwrap();
    given.args(["validate", "/dev/stdin"]).write_stdin("hosts: {a: }\n").assert().success();
}

#[test]
fn the_commands_tell_what_a_file_makes_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, "hots: {}\n").unwrap();
    let bad = bad.to_str().unwrap();

    let (code, out, err) = netlab(&["validate", "topology/lab.yaml", bad]);
    assert_eq!(code, Some(2));
    assert_eq!(
        out,
        "topology/lab.yaml: 3 hosts on 1 segment\n  lan      198.18.0.0/24\n  server   198.18.0.2\n  \
         client1  198.18.0.3\n  client2  198.18.0.4\n"
    );
    assert!(err.contains("bad.yaml:1:1") && err.contains("did you mean `hosts`?"), "{err}");
    assert!(err.ends_with("bad.yaml: 2 problems\n"), "{err}");

    let (code, out, err) = netlab(&["validate", "--json", "topology/lab.yaml", bad, "/nowhere.yaml"]);
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str()), (Some(2), ""));
    assert_eq!(rows[0]["hosts"][1]["name"], "client1");
    assert_eq!((&rows[0]["valid"], &rows[1]["valid"]), (&true.into(), &false.into()));
    assert_eq!(rows[1]["problems"][0]["suggestion"], "hosts");
    assert!(rows[2]["problems"][0]["message"].as_str().unwrap().contains("No such file"));

    let (code, out, _) = netlab(&["schema", "topology"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, schema), (Some(0), topology::schema()));
}

/// A valid file with several segments, with and without subnets, counts and given addresses.
fn topologies() -> impl Strategy<Value = String> {
    let segment = prop::option::of(20u8..=25);
    let segments = prop::collection::vec(segment, 1..6);
    segments.prop_flat_map(|segments| {
        let n = segments.len();
        let links = prop::sample::subsequence((0..n).collect::<Vec<_>>(), 1..=n);
        let hosts = prop::collection::vec((links, prop::option::of(1..20u32), any::<bool>()), 1..5);
        hosts.prop_map(move |hosts| {
            let segment = |(i, prefix): (usize, &Option<u8>)| match prefix {
                Some(prefix) => format!("  s{i}: {{subnet: 10.{i}.0.0/{prefix}}}\n"),
                None => format!("  s{i}:\n"),
            };
            let host = |(i, (links, count, given)): (usize, &(Vec<usize>, Option<u32>, bool))| {
                let list: Vec<_> = links.iter().map(|l| format!("s{l}")).collect();
                let role = if links.len() > 1 { "router" } else { "client" };
                let mut host = format!("  host-{i}x: {{role: {role}, links: [{}]", list.join(", "));
                host += &count.map(|c| format!(", count: {c}")).unwrap_or_default();
                let fixed = *given && segments[links[0]].is_some();
                let address = fixed.then(|| format!(", address: 10.{}.0.{}", links[0], 2 + 20 * i));
                host + &address.unwrap_or_default() + "}\n"
            };
            let segments: String = segments.iter().enumerate().map(segment).collect();
            let hosts: String = hosts.iter().enumerate().map(host).collect();
            format!("segments:\n{segments}hosts:\n{hosts}")
        })
    })
}

proptest! {
    #[test]
    fn every_right_file_gets_unique_addresses_inside_its_subnets(text in topologies()) {
        let plan = plan(&text);
        for (i, a) in plan.segments.iter().enumerate() {
            for b in &plan.segments[..i] {
                prop_assert!(!a.subnet.contains(&b.subnet) && !b.subnet.contains(&a.subnet));
            }
        }
        let mut seen = HashSet::new();
        let mut names = HashSet::new();
        for host in &plan.hosts {
            prop_assert!(names.insert(&host.name));
            for link in &host.links {
                let subnet = plan.segments.iter().find(|s| s.name == link.segment).unwrap().subnet;
                prop_assert!(subnet.hosts().skip(1).any(|a| a == link.address), "{} {subnet}", link.address);
                prop_assert!(seen.insert(link.address), "{} twice", link.address);
            }
            for route in &host.routes {
                let near = |l: &topology::LinkPlan| Ipv4Net::new(l.address, l.prefix_len).unwrap().contains(&route.via);
                prop_assert!(host.links.iter().any(near), "{} is not a neighbour of {}", route.via, host.name);
                let router = plan.hosts.iter().find(|h| h.links.iter().any(|l| l.address == route.via)).unwrap();
                prop_assert_eq!(router.role, Role::Router);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes).map_err(|e| Problems::of(&e).unwrap().to_string());
    }

    #[test]
    fn nothing_like_yaml_panics(text in r#"([a-c*&!|>%@"'\[\]{},:?#~<0-9 .\n\t\r-]|hosts:|\n  |: |- |é|\u{FEFF}|\u{85}){0,60}"#) {
        let _ = parse(text.as_bytes()).map_err(|e| Problems::of(&e).unwrap().to_string());
    }

    #[test]
    fn no_damaged_file_panics(cut in 0..900usize, with in r"[\PC\n\t]{0,6}", length in 0..9usize) {
        let text = std::fs::read_to_string("topology/router.yaml").unwrap();
        let mut chars: Vec<_> = text.chars().collect();
        let cut = cut.min(chars.len());
        chars.splice(cut..(cut + length).min(chars.len()), with.chars());
        let text: String = chars.into_iter().collect();
        if let Err(e) = parse(text.as_bytes()) {
            let problems = Problems::of(&e).unwrap();
            prop_assert!(!problems.to_string().is_empty() && !problems.to_json().as_array().unwrap().is_empty());
        }
    }
}

#[test]
fn a_path_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"l\xff.yaml");
    std::fs::copy("topology/lab.yaml", folder.path().join(name)).unwrap();
    let netlab = |arguments: &[&str]| {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("netlab");
        command.current_dir(folder.path()).args(arguments);
        command
    };
    let said = netlab(&["validate", "--json"]).arg(name).assert().success();
    let rows: serde_json::Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    assert_eq!(rows[0]["file"], "l\u{fffd}.yaml");
    netlab(&["init", "--json"]).arg(std::ffi::OsStr::from_bytes(b"d\xff")).assert().success();
    std::fs::create_dir(folder.path().join("captures")).unwrap();
    std::fs::write(folder.path().join("captures").join(std::ffi::OsStr::from_bytes(b"n\xff.pcapng")), "")
        .unwrap();
    netlab(&["capture", "list", "--json"]).assert().success();
}

#[test]
fn hosts_that_say_nothing_are_counted_too() {
    let hosts: String = (0..1001).map(|n| format!("  h{n}:\n")).collect::<Vec<_>>().concat();
    let problems =
        Problems::of(&parse(format!("hosts:\n{hosts}").as_bytes()).unwrap_err()).unwrap().to_json();
    assert_eq!(problems[0]["message"], "1001 hosts", "{problems}");
}

#[test]
fn a_thousand_segments_too_many_are_one_problem() {
    let segments =
        (0..30_000).map(|n| format!("  s{n}: {{subnet: 10.0.0.0/30}}\n")).collect::<Vec<_>>().concat();
    let begun = std::time::Instant::now();
    let text = format!("segments:\n{segments}hosts:\n  a:\n");
    let problems = Problems::of(&parse(text.as_bytes()).unwrap_err()).unwrap().to_json();
    assert_eq!((problems.as_array().unwrap().len(), &problems[0]["message"]), (1, &"30000 segments".into()));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

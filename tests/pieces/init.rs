//! `lab-init` as process 1 of its own namespaces, which any user may create with unshare(1).

use std::{
    io::Write,
    process::{Command, Output},
};

/// A host with one link, `eth0`, and lab-init as its process 1 with these arguments; the last of them
/// is the host's command, which ends the host with `kill -TERM 1`.
fn host(arguments: &[&str]) -> Output {
    let ready = "ip link add eth0 type veth peer name eth1 && ip address add 198.18.0.1/24 dev eth0 &&
                 ip link set lo up && ip link set eth0 up && ip link set eth1 up && exec \"$@\"";
    let mut command = Command::new("timeout");
    command.args(["30", "unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--net"]);
    command.args(["sh", "-c", ready, "sh", env!("CARGO_BIN_EXE_lab-init")]);
    command.args(arguments).output().unwrap()
}

/// Returns what the host's command printed, and asserts that the host ended well.
fn printed(output: Output) -> String {
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(errors, "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_network_is_ready_before_the_command_starts() {
    let output = host(&[
        "--forward",
        "--route",
        "198.18.1.0/24",
        "198.18.0.2",
        "--route",
        "198.18.1.0/24",
        "198.18.0.3",
        "--",
        "ip route show proto static; cat /proc/sys/net/ipv4/ip_forward;
         /sbin/ethtool -k eth0 | grep tx-checksumming; kill -TERM 1",
    ]);
    assert_eq!(
        printed(output),
        "198.18.1.0/24 via 198.18.0.3 dev eth0 \n1\ntx-checksumming: off\n",
        "the second route replaces the first"
    );
}

#[test]
fn a_route_that_cannot_be_is_told_of_and_the_host_goes_on() {
    let output = host(&["--route", "198.18.1.0/24", "198.18.7.7", "echo up; kill -TERM 1"]);
    assert_eq!(output.stdout, b"up\n");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        errors,
        "lab-init: cannot add the route to 198.18.1.0/24 via 198.18.7.7: Network is unreachable (os error 101)\n"
    );
}

#[test]
fn orphans_are_reaped() {
    // Each inner shell leaves behind a child that ends after it, as an orphan of process 1. Reading
    // the pipe to its end waits for all of them; then process 1 has that many signals to handle.
    let script = "for i in 1 2 3 4 5 6 7 8; do sh -c '(sleep 0.1; echo orphan) &'; done | cat
                  until ! ps -e -o stat= | grep -q Z; do :; done
                  ps -e -o comm= | grep -c init; kill -TERM 1";
    assert_eq!(printed(host(&[script])), "orphan\n".repeat(8) + "1\n");
}

#[test]
fn the_command_is_no_shell_and_has_its_own_session_and_default_signals() {
    let script = "ps -o sid=,pid=,ppid=,tpgid= -C sh; cat /proc/self/status | grep -E 'SigBlk|SigIgn|SigCgt'";
    let shell = printed(host(&["--", &format!("{script}; kill -TERM 1")]));
    let numbers: Vec<i32> =
        shell.lines().next().unwrap().split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(numbers[0], numbers[1], "leads its session: {shell}");
    assert_eq!((numbers[2], numbers[3]), (1, -1), "a child of process 1 without a terminal: {shell}");
    for line in shell.lines().skip(1) {
        let (name, mask) = line.split_once(":\t").unwrap();
        // The C library reserves signals 32 and 33: lab-init leaves them alone.
        let mask = u64::from_str_radix(mask, 16).unwrap() & !(3 << 31);
        assert_eq!(mask, 0, "{name}");
    }
    // A simple command takes the shell's place: process 1 is its parent.
    let mut program = tempfile::NamedTempFile::new().unwrap();
    write!(program, "echo $PPID; kill -TERM 1").unwrap();
    let simple = printed(host(&[&format!("sh {}", program.path().display())]));
    assert_eq!(simple, "1\n");
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_lab-init")).arg("--froward").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("lab-init: unknown option: --froward\n"));
}

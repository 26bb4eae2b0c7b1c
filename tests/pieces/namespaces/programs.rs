//! Programs on hosts: streams, exit codes, terminals, logs.

use netlab::{
    kernel::ExitStatus,
    runtime::{Command, Runtime, TerminalSize},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::lab::{Lab, PATIENCE, finish};

#[tokio::test]
async fn a_program_has_its_own_streams_and_exit_code() {
    let Some(lab) = Lab::up().await else { return };
    let said = lab.sh("client", "echo out; echo err >&2; exit 7").await;
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(said.status, ExitStatus::Exited(7));
    assert_eq!(lab.sh("client", "kill -PIPE $$").await.status, ExitStatus::Signaled(13));
    assert_eq!(lab.sh("client", "kill -s 40 $$").await.status, ExitStatus::Signaled(40));

    let mut cat = lab.runtime.exec(lab.name(), "client", &Command::new(["cat"])).await.unwrap();
    cat.stdin.write_all(b"through\n").await.unwrap();
    assert_eq!(finish(cat).await.stdout, "through\n");
    lab.down().await;
}

#[tokio::test]
async fn what_cannot_be_run_ends_as_in_a_shell() {
    let Some(lab) = Lab::up().await else { return };
    let said = lab.run("client", ["no-such-program"]).await;
    assert_eq!(said.status, ExitStatus::Exited(127));
    assert_eq!(said.stderr, "netlab: no-such-program: command not found\n");
    assert_eq!(lab.run("client", ["/etc/hosts"]).await.status, ExitStatus::Exited(126));
    let nowhere = Command { workdir: Some("/nowhere".into()), ..Command::new(["true"]) };
    let said = lab.exec("client", &nowhere).await;
    assert_eq!((said.status, said.stderr.contains("/nowhere")), (ExitStatus::Exited(126), true));

    let error = lab.runtime.exec(lab.name(), "clinet", &Command::new(["true"])).await.err().unwrap();
    assert_eq!(error.hint.as_deref(), Some("did you mean client?"));
    lab.down().await;
}

#[tokio::test]
async fn programs_start_with_a_clean_state() {
    let Some(lab) = Lab::up().await else { return };
    let env = Command { env: [("COLOUR".into(), "red".into())].into(), ..Command::new(["env"]) };
    let said = lab.exec("client", &env).await.stdout;
    let mut lines: Vec<_> = said.lines().map(|l| l.split('=').next().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["COLOUR", "HOME", "HOSTNAME", "PATH"]);

    let status = lab.run("client", ["cat", "/proc/self/status"]).await.stdout;
    for line in ["SigIgn:\t0000000000000000", "SigBlk:\t0000000000000000"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    assert_eq!(lab.run("client", ["ls", "/proc/self/fd"]).await.stdout, "0\n1\n2\n3\n", "3 is that of ls");
    lab.down().await;
}

#[tokio::test]
async fn a_terminal_is_a_real_one() {
    let Some(lab) = Lab::up().await else { return };
    let terminal = Some(TerminalSize { rows: 31, columns: 97 });
    let line = "tty; stty size; read x; stty size; test -t 0 && test -t 1 && test -t 2 && echo $TERM";
    let command = Command { terminal, ..Command::new(["sh", "-c", line]) };
    let mut process = lab.runtime.exec(lab.name(), "client", &command).await.unwrap();
    let mut lines = BufReader::new(process.stdout).lines();
    let mut next = async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert_eq!(next().await, "/dev/pts/0");
    assert_eq!(next().await, "31 97");
    process.handle.resize(TerminalSize { rows: 20, columns: 60 }).await.unwrap();
    process.stdin.write_all(b"go\n").await.unwrap();
    assert_eq!(next().await, "go", "typed characters are echoed");
    assert_eq!(next().await, "20 60");
    assert_eq!(next().await, "xterm");
    assert_eq!(process.handle.wait().await.unwrap(), ExitStatus::Exited(0));
    lab.down().await;
}

#[tokio::test]
async fn a_terminal_takes_control_characters() {
    let Some(lab) = Lab::up().await else { return };
    let terminal = Some(TerminalSize { rows: 24, columns: 80 });
    let command = Command { terminal, ..Command::new(["sh", "-c", "echo ready; exec cat"]) };
    let mut process = lab.runtime.exec(lab.name(), "client", &command).await.unwrap();
    process.stdout.read_exact(&mut [0; 7]).await.unwrap();
    process.stdin.write_all(b"\x03").await.unwrap();
    assert_eq!(process.handle.wait().await.unwrap(), ExitStatus::Signaled(2));

    let mut process = lab.runtime.exec(lab.name(), "client", &command).await.unwrap();
    process.stdout.read_exact(&mut [0; 7]).await.unwrap();
    process.stdin.shutdown().await.unwrap();
    assert_eq!(process.handle.wait().await.unwrap(), ExitStatus::Exited(0));
    lab.down().await;
}

#[tokio::test]
async fn a_log_is_followed_until_the_lab_ends() {
    let Some(mut lab) = Lab::planned().await else { return };
    lab.plan.hosts[0].run = Some("echo up; read x < /tmp/go; echo $x".into());
    lab.plan.hosts[0].run = Some("echo up".into());
    lab.build().await.unwrap();
    let log = lab.runtime.logs(lab.name(), "server", true).await.unwrap();
    let mut lines = BufReader::new(log).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
    let talk = Command::new(["sh", "-c", "echo more; echo err >&2; exec sleep 1000"]);
    lab.runtime.start(lab.name(), "server", &talk).await.unwrap();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("more"));
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("err"));

    let mut now = String::new();
    lab.runtime.logs(lab.name(), "server", false).await.unwrap().read_to_string(&mut now).await.unwrap();
    assert_eq!(now, "up\nmore\nerr\n");
    lab.down().await;
    assert_eq!(timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn a_program_outlives_its_client_but_not_its_lab() {
    let Some(lab) = Lab::up().await else { return };
    let sleep = Command::new(["sleep", "1000"]);
    let dropped = lab.runtime.exec(lab.name(), "client", &sleep).await.unwrap().pid;
    let mut kept = lab.runtime.exec(lab.name(), "client", &sleep).await.unwrap();
    let seen = lab.sh("client", "ps -C sleep -o pid=").await.stdout;
    assert_eq!(seen.lines().count(), 2, "{seen}");
    lab.down().await;
    assert_eq!(kept.handle.wait().await.unwrap(), ExitStatus::Signaled(9));
    assert!(!std::path::Path::new(&format!("/proc/{dropped}")).exists());
}

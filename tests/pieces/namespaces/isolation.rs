//! What a host can see, and what it cannot.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use netlab::{
    kernel::ExitStatus,
    runtime::Runtime,
    topology::{Limits, LinkPlan, Mount, Role, Route, SegmentPlan},
};

use super::lab::{Lab, host};

#[tokio::test]
async fn a_host_sees_its_own_processes_and_no_helper_of_ours() {
    let Some(lab) = Lab::up().await else { return };
    let seen = lab.run("client", ["ps", "-e", "-o", "pid,ppid,args"]).await.stdout;
    let lines: Vec<Vec<_>> = seen.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["1", "0", "/opt/netlab/bin/lab-init"]);
    assert_eq!(lines[1][1..], ["0", "ps", "-e", "-o", "pid,ppid,args"]);
    assert_eq!(lines.len(), 2, "{seen}");
    lab.down().await;
}

#[tokio::test]
async fn a_host_sees_the_machines_programs_and_none_of_its_folders() {
    let Some(lab) = Lab::up().await else { return };
    let root = lab.run("client", ["ls", "-A", "/"]).await.stdout;
    let known = "bin dev etc gnu home lib lib32 lib64 libx32 mnt nix opt proc root run sbin sys tmp usr var";
    for name in root.lines() {
        assert!(known.split(' ').any(|k| k == name), "/{name} is none of a host's");
    }
    // Neither by its path nor around the root.
    let state = lab.state.path().display();
    for line in
        [format!("ls {state}"), "cat /proc/1/mounts | grep pivot".into(), "ls /tmp/* /home/* /root/*".into()]
    {
        assert_ne!(lab.sh("client", &line).await.status, ExitStatus::Exited(0), "{line}");
    }
    for line in
        ["touch /usr/x", "touch /etc/x", "touch /bin/x", "touch /opt/x", "touch /dev/x", "rm /etc/hosts"]
    {
        assert_ne!(lab.sh("client", line).await.status, ExitStatus::Exited(0), "{line}");
    }
    for line in ["touch /tmp/x /run/x /root/x /home/x /var/tmp/x /dev/shm/x /x", "echo x > /dev/null"] {
        let said = lab.sh("client", line).await;
        assert_eq!(said.status, ExitStatus::Exited(0), "{line}: {}", said.stderr);
    }
    assert_ne!(lab.sh("server", "ls /tmp/x").await.status, ExitStatus::Exited(0), "hosts share no files");
    lab.down().await;
}

#[tokio::test]
async fn root_on_a_host_is_not_the_machines_root() {
    let Some(lab) = Lab::up().await else { return };
    for line in [
        "mount -t tmpfs x /mnt",
        "umount /usr",
        "mknod /tmp/x b 254 0",
        "echo 1 > /proc/sys/kernel/panic",
        "echo h > /proc/sysrq-trigger",
        "cat /etc/shadow | grep root",
        "mount -o remount,rw /usr",
    ] {
        let said = lab.sh("client", line).await;
        assert_ne!(said.status, ExitStatus::Exited(0), "{line}");
    }
    // Files that only the machine's root may read cannot be read, even deep below /etc.
    let said = lab.sh("client", "find /etc -type f ! -perm -o=r -exec cat {} + 2>/dev/null").await;
    assert_eq!(said.stdout, "");
    // The oldest way out of a root directory.
    let escape = "import os; os.mkdir('/tmp/a'); os.chroot('/tmp/a'); os.chdir('../../../../..'); \
                  os.chroot('.'); print(*os.listdir('/'))";
    let said = lab.run("client", ["python3", "-c", escape]).await;
    if said.status == ExitStatus::Exited(0) {
        assert!(!said.stdout.contains("hostname0"), "the stage: {}", said.stdout);
        assert!(!said.stdout.contains("work") && !said.stdout.contains("boot"), "{}", said.stdout);
    }
    lab.down().await;
}

#[tokio::test]
async fn hosts_are_on_a_network_of_their_own_and_know_each_other_by_name() {
    let Some(lab) = Lab::up().await else { return };
    let names = lab.sh("client", "hostname; cat /etc/hostname; getent hosts server").await.stdout;
    let words: Vec<_> = names.split_whitespace().collect();
    assert_eq!(words, ["client", "client", "198.18.7.2", "server"]);

    let links = lab.run("client", ["ls", "/sys/class/net"]).await.stdout;
    assert!(links.contains("eth0") && !links.contains("docker"), "{links}");
    let v6 = lab.run("client", ["cat", "/proc/net/if_inet6"]).await.stdout;
    assert!(v6.lines().all(|l| l.ends_with(" lo")), "an IPv6 address makes noise on the wire: {v6}");

    let serve = netlab::runtime::Command::new(["tcpechod", "8007"]);
    lab.runtime.start(lab.name(), "server", &serve).await.unwrap();
    let said = lab.sh("client", "until echo hello | tcpecho server 8007 2>/dev/null; do :; done").await;
    assert!(said.stdout.contains("hello"), "{said:?}");
    lab.down().await;
}

#[tokio::test]
async fn a_server_on_both_protocols_is_reached_by_ipv4() {
    let Some(lab) = Lab::up().await else { return };
    let serve = "import socket; s = socket.create_server(('', 8001), family=socket.AF_INET6, dualstack_ipv6=True); \
                 c, who = s.accept(); c.send(who[0].encode())";
    let serve = netlab::runtime::Command::new(["python3", "-c", serve]);
    lab.runtime.start(lab.name(), "server", &serve).await.unwrap();
    let said = lab
        .run("client", ["bash", "-c", "until exec 3<>/dev/tcp/server/8001; do :; done 2>/dev/null; cat <&3"])
        .await;
    assert_eq!(said.stdout, "::ffff:198.18.7.3");
    lab.down().await;
}

#[tokio::test]
async fn what_leaves_a_host_has_a_checksum_from_the_start() {
    let Some(lab) = Lab::up().await else { return };
    let said = lab.run("client", ["ethtool", "-k", "eth0"]).await;
    if said.status == ExitStatus::Exited(0) {
        assert!(said.stdout.contains("tx-checksumming: off"), "{}", said.stdout);
    }
    lab.down().await;
}

#[tokio::test]
async fn a_folder_may_be_called_anything() {
    let Some(mut lab) = Lab::planned().await else { return };
    let folder = lab.state.path().join(OsStr::from_bytes(b"pr\xe1ctica"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "mine\n").unwrap();
    let mount = Mount { source: folder, target: "/lab".into(), read_only: true, copy: None };
    lab.plan.hosts.iter_mut().for_each(|host| host.mounts.push(mount.clone()));
    lab.build().await.unwrap();
    assert_eq!(lab.run("client", ["cat", "/lab/a"]).await.stdout, "mine\n");
    let found = lab.runtime.lab(lab.name()).await.unwrap().unwrap();
    assert_eq!(found.plan, lab.plan, "as it was written down");
    lab.down().await;
}

#[tokio::test]
async fn mounts_are_seen_where_they_were_asked_for() {
    let Some(mut lab) = Lab::planned().await else { return };
    let (folder, file) = (lab.state.path().join("code"), lab.state.path().join("file"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.c"), "int a;").unwrap();
    fs::write(&file, "text").unwrap();
    lab.plan.hosts[0].mounts = vec![
        Mount { source: folder.clone(), target: "/root/code".into(), read_only: true, copy: None },
        Mount { source: folder.clone(), target: "/srv/code".into(), read_only: false, copy: None },
        Mount { source: file, target: "/tmp/deep/file".into(), read_only: true, copy: None },
    ];
    lab.build().await.unwrap();
    assert_eq!(lab.sh("server", "cat /root/code/a.c /tmp/deep/file").await.stdout, "int a;text");
    assert_ne!(lab.sh("server", "touch /root/code/b").await.status, ExitStatus::Exited(0));
    assert_eq!(lab.sh("server", "touch /srv/code/b").await.status, ExitStatus::Exited(0));
    assert!(folder.join("b").exists());
    lab.down().await;
}

#[tokio::test]
async fn a_router_forwards_and_nobody_else_does() {
    let Some(mut lab) = Lab::planned().await else { return };
    let far = "198.18.8.0/24".parse().unwrap();
    lab.plan.segments.push(SegmentPlan { name: "a-segment-with-a-long-name".into(), subnet: far });
    let link = |last| LinkPlan {
        segment: "a-segment-with-a-long-name".into(),
        address: [198, 18, 8, last].into(),
        prefix_len: 24,
    };
    let mut router = host("router", Role::Router, 4);
    router.links.push(link(4));
    lab.plan.hosts.push(router);
    lab.plan.hosts[0].routes = vec![Route { to: far, via: [198, 18, 7, 4].into() }];
    lab.plan.hosts[1].links = vec![link(3)];
    lab.plan.hosts[1].routes =
        vec![Route { to: "198.18.7.0/24".parse().unwrap(), via: [198, 18, 8, 4].into() }];
    lab.build().await.unwrap();
    let said = lab.sh("client", "ping -c 1 -W 5 server").await;
    assert_eq!(said.status, ExitStatus::Exited(0), "{said:?}");
    for (host, forwards) in [("router", "1\n"), ("server", "0\n")] {
        assert_eq!(lab.sh(host, "cat /proc/sys/net/ipv4/ip_forward").await.stdout, forwards, "{host}");
    }
    lab.down().await;
}

#[tokio::test]
async fn limits_hold_or_are_told_of() {
    let Some(mut lab) = Lab::planned().await else { return };
    lab.plan.hosts[0].limits = Limits { pids: Some(8), memory: Some(64 << 20), millicpus: None, disk: None };
    let warnings = std::sync::Mutex::new(Vec::new());
    let note = |step: netlab::runtime::Step| warnings.lock().unwrap().push(step.what);
    lab.runtime.up(&lab.plan, &note).await.unwrap();
    let warned = warnings
        .into_inner()
        .unwrap()
        .iter()
        .any(|w| w.contains("server runs without a limit on") && w.contains("pids"));
    let forks = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 100 >/dev/null 2>&1 & done; echo all";
    assert_eq!(lab.sh("server", forks).await.stdout.contains("all"), warned, "warned: {warned}");
    assert!(lab.sh("client", forks).await.stdout.contains("all"), "the client has no limit");
    let met: Vec<_> = lab.runtime.limits_reached(&lab.plan).await.iter().map(ToString::to_string).collect();
    assert_eq!(met, if warned { vec![] } else { vec!["server has reached its 8 processes"] });
    lab.down().await;
}

/// In a user namespace of its own a program could mount the machine's control groups, and change them.
#[tokio::test]
async fn a_program_makes_no_user_namespace() {
    let Some(lab) = Lab::up().await else { return };
    for command in ["unshare --user true", "unshare --map-root-user --mount true"] {
        let said = lab.sh("server", command).await;
        assert_ne!(said.status, ExitStatus::Exited(0), "{command}");
        assert!(said.stderr.contains("Operation not permitted"), "{said:?}");
    }
    lab.down().await;
}

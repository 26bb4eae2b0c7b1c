//! `exercise` as a student types it, on a lab of its own.

use nix::sys::signal::Signal;

use super::bench::Bench;

/// A lab that is taken down even if the case fails.
pub struct Own(pub Bench);

impl Own {
    pub fn up(bench: Bench) -> Self {
        bench.runs(&["up"]);
        Self(bench)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.command(&["down"]).output();
    }
}

pub fn an_answer_comes_with_its_evidence(bench: Bench) {
    let own = Own::up(bench);
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().to_str().unwrap();
    let plain = own.0.runs(&["exercise", "processes", "--captures", captures]);
    let explained = own.0.runs(&["exercise", "processes", "--explain", "--captures", captures]);
    for text in ["      observed: ", "test = 110\n", "fork copies the whole process"] {
        assert!(explained.contains(text), "{text}: {explained}");
    }
    assert!(plain.contains("pass  parents-copy-stays") && !plain.contains("observed: "), "{plain}");
    // The command to type names the lab, so it works as shown.
    let typed = format!("$ netlab exec --lab {} server -- processes", own.0.lab);
    assert!(plain.contains(&typed), "{plain}");
}

pub fn an_interrupted_one_ends_what_it_started(bench: Bench) {
    let own = Own::up(bench);
    let folder = tempfile::tempdir().unwrap();
    let mut run = own.0.start(&["exercise", "5", "--captures", folder.path().to_str().unwrap()]);
    run.read_until("waiting for connections on port 8015");
    run.signal(Signal::SIGINT);
    let (code, _, said) = run.finish();
    assert_eq!(code, Some(130), "{said}");
    let processes = own.0.runs(&["exec", "server", "--", "ps", "-eo", "args"]);
    assert!(!processes.contains("8015"), "{processes}");
}

/// Every host's tables are there from the start, even those of a host that is not involved.
pub fn every_host_is_looked_at(bench: Bench) {
    let own = Own::up(bench);
    let folder = tempfile::tempdir().unwrap();
    let told = own.0.runs(&["exercise", "processes", "--captures", folder.path().to_str().unwrap()]);
    let ps = format!("$ netlab exec --lab {} client2 -- ps", own.0.lab);
    let (_, after) = told.split_once(&ps).unwrap_or_else(|| panic!("{told}"));
    assert!(after.lines().nth(2).unwrap().contains("lab-init"), "{after}");
}

pub fn a_link_is_made_bad_and_mended(bench: Bench) {
    let own = Own::up(bench);
    let slow = own.0.runs(&["link", "client1", "--rate", "1mbit"]);
    let typed = format!("netlab exec --lab {} client1 -- tc qdisc replace dev eth0 root tbf", own.0.lab);
    assert!(slow.starts_with(&typed), "{slow}");
    assert!(own.0.runs(&["exec", "client1", "--", "tc", "qdisc", "show", "dev", "eth0"]).contains("tbf"));
    own.0.runs(&["link", "client1", "--clear"]);
    assert!(!own.0.runs(&["exec", "client1", "--", "tc", "qdisc", "show", "dev", "eth0"]).contains("tbf"));
    let lossy = own.0.command(&["link", "client1", "--loss", "10"]).output().unwrap();
    let said = String::from_utf8(lossy.stderr).unwrap();
    match lossy.status.code() {
        Some(0) => own.0.run(&["link", "client1", "--clear"]).success(),
        // Not every kernel has it.
        code => {
            assert!(code == Some(3) && said.contains("the kernel lacks netem"), "{code:?}: {said}");
            own.0.run(&["status"]).success()
        }
    };
}

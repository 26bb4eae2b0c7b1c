//! Every command under a shortage: it does without or says so, and never blames somebody's program.

use libtest_mimic::Failed;

use crate::{
    census::{below, files_in},
    ground::Ground,
    run::{Ended, finish},
    seed::{Dice, Rounds},
    verbs::Verb,
    whole,
    world::World,
};

/// The shortage, and the shell line that causes it for the command in `"$@"`.
const SHORTAGES: [(&str, &str); 23] = [
    ("descriptors: 64", "ulimit -n 64; exec \"$@\""),
    ("descriptors: 20", "ulimit -n 20; exec \"$@\""),
    ("descriptors: 12", "ulimit -n 12; exec \"$@\""),
    ("descriptors: 7", "ulimit -n 7; exec \"$@\""),
    ("processes: 0", "exec prlimit --nproc=0 \"$@\""),
    ("processes: 4", "exec prlimit --nproc=4 \"$@\""),
    ("processes: 12", "exec prlimit --nproc=12 \"$@\""),
    ("memory: 256 MiB", "exec prlimit --as=268435456 \"$@\""),
    ("memory: 64 MiB", "exec prlimit --as=67108864 \"$@\""),
    ("files: 0", "exec prlimit --fsize=0 \"$@\""),
    ("files: 20 kB", "exec prlimit --fsize=20000 \"$@\""),
    ("no stdin", "exec \"$@\" <&-"),
    ("no stdout", "exec \"$@\" >&-"),
    ("no stderr", "exec \"$@\" 2>&-"),
    ("no streams", "exec \"$@\" <&- >&- 2>&-"),
    ("stdout is full", "exec \"$@\" >/dev/full"),
    ("stderr is full", "exec \"$@\" 2>/dev/full"),
    ("all is full", "exec \"$@\" >/dev/full 2>&1"),
    ("nobody reads", "\"$@\" | true; exit 0"),
    (
        "no environment",
        "exec env -i NETLAB_LAB=$NETLAB_LAB NETLAB_RUNTIME=$NETLAB_RUNTIME NETLAB_STATE=$NETLAB_STATE TMPDIR=$TMPDIR HOME=$HOME \"$@\"",
    ),
    ("no temporary folder", "TMPDIR=/nonexistent exec \"$@\""),
    ("no folder", "mkdir ../gone; cd ../gone; rmdir ../gone; exec \"$@\""),
    ("signals are ignored", "trap '' INT TERM HUP PIPE CHLD QUIT; exec \"$@\""),
];

/// Further commands, which need a lab.
const MORE: [&[&str]; 9] = [
    &["status"],
    &["status", "--all", "--json"],
    &["logs", "server"],
    &["kill", "server", "--signal", "CHLD", "--name", "tcpechod"],
    &["capture", "list"],
    &["doctor"],
    &["exercise"],
    &["validate", "course.yaml"],
    &["--help"],
];

pub fn a_shortage_is_told(ground: &Ground, rounds: Rounds, name: &str) -> Result<(), Failed> {
    rounds.each(name, |dice| round(ground, dice))
}

fn round(ground: &Ground, dice: &mut Dice) {
    let (shortage, line) = *dice.turn(&SHORTAGES);
    let world = World::new(ground);
    let verbs = Verb::all(ground);
    let number = dice.nth(verbs.len() + MORE.len()) - 1;
    let words = ["-c", line, "sh"];
    let (mut command, verb) = match verbs.get(number) {
        Some(verb) => {
            verb.prepare(&world);
            (verb.command(&world, Some(&words)), Some(*verb))
        }
        None => {
            world.runs(&["up"]);
            let mut command = world.command("sh");
            command.args(words).arg(world.ground.program()).args(MORE[(number - verbs.len()) % MORE.len()]);
            (command, None)
        }
    };
    let before =
        verb.filter(|verb| matches!(verb.name, "report" | "submit")).map(|_| files_in(&world.work()));
    let ended = finish(&mut command);
    let typed: Vec<_> = command.get_args().skip(4).collect();
    let case = format!("{shortage}: {typed:?}: {ended:?}");
    judge(verb, &ended, &case);
    if let Err(what) = whole::files(&world, false) {
        panic!("{case}: {what}");
    }
    // If only the output failed, the work is done.
    let is_of_streams =
        ["no std", "no streams", "stdout", "stderr", "all"].iter().any(|stream| shortage.starts_with(stream));
    if let Some(before) = before.filter(|_| ended.code() != Some(0) && !is_of_streams) {
        assert_eq!(files_in(&world.work()), before, "{case}");
    }
    if !below(&world.at("tmp")).is_empty() {
        // What grading left is cleared by the next run.
        world.runs(Verb::named("grade").arguments);
    }
    world.is_cleared();
}

fn judge(verb: Option<&Verb>, ended: &Ended, case: &str) {
    assert!(!ended.stderr.contains("panicked"), "{case}");
    match ended.code() {
        Some(0) => {
            let judges = verb.is_some_and(Verb::judges) && !ended.stdout.is_empty();
            assert!(
                !judges
                    || ended.stdout.contains("\"verdict\":\"pass\"")
                    || ended.stdout.contains("\"points\":"),
                "{case}"
            );
        }
        // A program that lacks memory for its next few bytes can say no more than that.
        None if ended.stderr.contains("memory allocation of") => {
            assert!(case.starts_with("memory"), "{case}");
        }
        // Without a place for messages, the exit code is all there is.
        Some(3) => {}
        // A relative path does not exist in a folder that is gone.
        Some(2) => assert!(case.starts_with("no folder") || case.contains("doctor"), "{case}"),
        // The status of the command on the host.
        Some(code) if verb.is_some_and(|verb| verb.name == "exec") => {
            assert!(code != 1 && code != 101, "{case}");
        }
        _ => panic!("{case}"),
    }
}

//! A disk that is full from the n-th write on: the older good file stays complete, no temporary file stays,
//! and the full disk is reported as an outside cause.

use libtest_mimic::Failed;
use nix::errno::Errno;

use crate::{
    census::files_in,
    ground::Ground,
    run::Ended,
    seed::{Dice, Rounds},
    trace::{self, BEGIN, Then, Whose},
    verbs::Verb,
    whole,
    world::World,
};

/// A command, whose writes count, and whether one round tries every write: for slow commands it tries one.
const WRITERS: [(&str, Whose, bool); 10] = [
    ("report", Whose::Command, true),
    ("submit", Whose::Command, true),
    ("init", Whose::Command, true),
    ("up", Whose::Command, true),
    ("up with limits", Whose::Child("keeper"), false),
    ("capture start", Whose::Child("--announce"), true),
    ("exercise 2", Whose::Command, false),
    ("check", Whose::Command, false),
    ("grade", Whose::Command, false),
    ("down", Whose::Command, true),
];

/// Maximum number of writes of a command that is tried at every write.
const MOST: usize = 200;

pub fn a_full_disk_ruins_nothing(ground: &Ground, rounds: Rounds, name: &str) -> Result<(), Failed> {
    rounds.each(name, |dice| round(ground, dice))
}

fn round(ground: &Ground, dice: &mut Dice) {
    let verbs = Verb::all(ground);
    let writers = WRITERS.iter().filter(|writer| verbs.iter().any(|verb| verb.name == writer.0));
    let (name, whose, every) = **dice.turn(&writers.collect::<Vec<_>>());
    let verb = Verb::named(name);
    if every {
        let tried = (1..=MOST).take_while(|nth| fill(ground, verb, whose, *nth)).count();
        assert!(tried < MOST, "{name} writes for ever");
        assert!(tried > 0 || name == "down" || name == "up", "{name} writes nothing");
    } else {
        fill(ground, verb, whose, dice.nth(48));
    }
}

/// Fills the disk before the n-th write. Returns whether there was such a write.
fn fill(ground: &Ground, verb: &Verb, whose: Whose, nth: usize) -> bool {
    let world = World::new(ground);
    verb.prepare(&world);
    let before = files_in(&world.work());
    let mut writes = 0;
    let mut first = String::new();
    let ended = trace::run(verb.command(&world, Some(&BEGIN)), whose, |step| {
        if !step.needs_room(&world.at("")) {
            return Then::Go;
        }
        writes += 1;
        if writes < nth {
            return Then::Go;
        }
        if writes == nth {
            first = step.text();
        }
        Then::Fail(Errno::ENOSPC)
    });
    let case = format!("{}, no room from write {nth} ({first}): {ended:?}", verb.name);
    let hit = writes >= nth;
    assert!(!ended.stderr.contains("panicked"), "{case}");
    assert_eq!(ended.code(), Some(expected(&world, verb, hit, &ended)), "{case}");
    if let Err(what) = whole::files(&world, false) {
        panic!("{case}: {what}");
    }
    if ended.code() == Some(3) && matches!(verb.name, "report" | "submit") {
        assert_eq!(files_in(&world.work()), before, "{case}");
    }
    if verb.name == "init" {
        world.runs(verb.arguments);
        world.runs(&["init", "fresh"]);
        let [completed, fresh] = ["ws", "fresh"].map(|folder| files_in(&world.work().join(folder)));
        assert_eq!(completed, fresh, "{case}: it was not completed");
    }
    world.is_cleared();
    hit
}

/// Returns the expected exit code.
fn expected(world: &World, verb: &Verb, hit: bool, ended: &Ended) -> i32 {
    match verb.name {
        _ if !hit => 0,
        // Taking down needs no space.
        "down" => 0,
        // It records, or says why not; if it ended early, the next `capture stop` says so.
        "capture start" if ended.code() == Some(0) => {
            assert_eq!(world.run(&["capture", "stop"]).code(), Some(3), "its early end is not reported");
            0
        }
        _ => 3,
    }
}

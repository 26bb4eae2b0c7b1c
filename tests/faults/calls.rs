//! An engine that delays, refuses, loses or drops any one request: it is reported, nothing hangs, and `down`
//! with a healthy engine leaves nothing.

use libtest_mimic::Failed;

use crate::{
    bystander::Bystander,
    ground::Ground,
    proxy::{Fault, Proxy},
    run::finish,
    seed::{Dice, Rounds},
    verbs::Verb,
    whole,
    world::World,
};

/// Commands, and approximately how many requests each makes.
const ASKING: [(&str, usize); 9] = [
    ("up", 48),
    ("exec", 16),
    ("exercise 2", 64),
    ("down", 32),
    ("up with limits", 48),
    ("host reboot", 16),
    ("link down", 16),
    ("check", 96),
    ("capture start", 16),
];
const FAULTS: [Fault; 5] = [Fault::Refused, Fault::Unheard, Fault::Unanswered, Fault::Gone, Fault::Late];

pub fn an_engine_that_fails_is_told(ground: &Ground, rounds: Rounds, name: &str) -> Result<(), Failed> {
    let bystander = Bystander::new(ground);
    let result = rounds.each(name, |dice| round(ground, dice));
    bystander.must_be_unharmed();
    result
}

fn round(ground: &Ground, dice: &mut Dice) {
    let (name, requests) = *dice.turn(&ASKING);
    let verb = Verb::named(name);
    let world = World::new(ground);
    verb.prepare(&world);
    let first = dice.nth(requests);
    disturb(&world, verb, *dice.any(&FAULTS), first);
    if name == "exec" {
        // The lab is unchanged, and building one on an engine takes long.
        for nth in (1..=requests).filter(|nth| *nth != first) {
            disturb(&world, verb, *dice.any(&FAULTS), nth);
        }
    }
    world.is_cleared();
}

/// Runs a command with an engine that fails once.
fn disturb(world: &World, verb: &Verb, fault: Fault, nth: usize) {
    let socket = world.at(format!("docker{nth}.sock"));
    let proxy = Proxy::new(socket, fault, nth);
    let ended = finish(verb.command(world, None).env("DOCKER_HOST", proxy.url()));
    let met = proxy.was_met();
    let case = format!(
        "{}, request {nth} {fault:?} ({}): {ended:?}",
        verb.name,
        if met { "met" } else { "not met" }
    );
    assert!(!ended.stderr.contains("panicked"), "{case}");
    let told = ended.stderr.contains("error: ") || ended.stdout.contains("\"verdict\":\"error\"");
    match ended.code() {
        Some(0) => assert!(!verb.judges() || ended.stdout.contains("\"verdict\":\"pass\""), "{case}"),
        Some(3) => assert!(met && fault != Fault::Late && told, "{case}"),
        _ => panic!("{case}"),
    }
    if let Err(what) = whole::files(world, false) {
        panic!("{case}: {what}");
    }
}

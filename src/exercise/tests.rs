//! Tests of exercise files, and of the problems reported for wrong ones.

use std::path::Path;

use serde_json::Value;

use super::{bind, parse, schema};
use crate::{exercise::Roles, yaml::Problems};

/// The guide to writing exercises.
const README: &str = include_str!("../../exercises/README.md");

/// The exercise in the guide.
fn example() -> &'static str {
    README.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

/// Changes to the example (from, to), each with the problem that is reported.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("signal: KILL", "singal: KILL", "26:5 steps[3].singal: unknown key; did you mean signal?"),
    (
        "signal: KILL",
        "signal: KLIL",
        "26:13 steps[3].signal: no signal is named KLIL here; did you mean KILL?",
    ),
    ("to: c", "to: d", "23:9 steps[2].to: no program is named d here; did you mean c?"),
    (
        "{port}\n\nsteps",
        "{prot}\n\nsteps",
        "11:11 programs.server: no variable is named prot here; did you mean port?",
    ),
    ("at: killed", "at: kiled", "42:9 checks[1].at: no look is named kiled here; did you mean killed?"),
    (
        "state: FIN_WAIT2, owner",
        "state: FIN_WAIT, owner",
        "46:31 checks[1].show.sockets[1].state: wrong value: the text `FIN_WAIT`; did you mean FIN_WAIT1?",
    ),
    ("id: half-closed", "id: parent-lives", "49:9 checks[2].id: two checks have the id parent-lives"),
    ("    on: server\n    require", "    require", "15:12 steps[0].start: `start: server` needs `on: HOST`"),
    (
        "on: client1\n  - type",
        "on: clinet1\n  - type",
        "21:9 steps[1].on: no host is named clinet1 here; did you mean client1?",
    ),
    (
        "{on: client1, state: CLOSE_WAIT, count: 1}\n        - {on: server, state: FIN_WAIT2, count",
        "{on: clinet1, state: CLOSE_WAIT, count: 1}\n        - {on: server, state: FIN_WAIT2, count",
        "30:16 steps[3].wait.sockets[0].on: no host is named clinet1 here; did you mean client1?",
    ),
    (
        "{on: server, state: FIN_WAIT2, owner",
        "{on: sever, state: FIN_WAIT2, owner",
        "46:16 checks[1].show.sockets[1].on: no host is named sever here; did you mean server?",
    ),
    (
        "{count: 1, closed_by",
        "{count: 1, from: cleint1, closed_by",
        "39:39 checks[0].show.conversations.from: no host is named cleint1 here; did you mean client1?",
    ),
    (
        "{count: 1, closed_by",
        "{count: {min: 0}, closed_by",
        "39:30 checks[0].show.conversations.count: any number would do",
    ),
    (
        "state: Z, count: 0}\n    look",
        "state: zombie, count: 0}\n    look",
        "32:38 steps[3].wait.processes.state: \"zombie\" are no state letters: `ps` shows RSDTtZXI",
    ),
    (
        "state: Z, count: 0}\n    look",
        "state: Z, died: KLIL, count: 0}\n    look",
        "32:47 steps[3].wait.processes.died: no signal is named KLIL here; did you mean KILL?",
    ),
    (
        "state: Z, count: 0}\n    look",
        "state: Z, catch: [CHLD, PIPPE], count: 0}\n    look",
        "32:55 steps[3].wait.processes.catch[1]: no signal is named PIPPE here; did you mean PIPE?",
    ),
    (
        "prints: hello}",
        "ended: runing}",
        "24:38 steps[2].wait.program.ended: no signal is named runing here; did you mean running?",
    ),
    (
        "{name: c, prints: hello}",
        "{name: c}",
        "24:21 steps[2].wait.program: neither what it `prints` nor how it `ended`",
    ),
    (
        "{name: c, prints: hello}",
        "{name: c, ended: any, lines: 2}",
        "24:50 steps[2].wait.program.lines: `lines` needs `prints`",
    ),
    (
        "signal: KILL",
        "signal: KILL\n    eof: c",
        "26:13 steps[3].signal: a step does one thing: `eof` or `signal`",
    ),
    (
        "to: server.child",
        "to: server.chidl",
        "27:9 steps[3].to: no process of a program is named chidl here; did you mean child?",
    ),
    ("  - type: hello", "  - within_ms: 100\n  - type: hello", "22:5 steps[2]: a step that does nothing"),
    (
        "type: hello\n    to: c\n",
        "say: hello\n    to: c\n",
        "23:9 steps[2].to: `to` needs `type`, `send` or `signal`",
    ),
    (
        "look: killed",
        "look: killed\n  - steps: [{eof: c}]\n    look: ended",
        "35:11 steps[4].look: `look` has no place beside `steps`: it is a step of its own",
    ),
    (
        "show:\n      listens: server\n      processes: {of: server, state: Z, count: 0}",
        "show: {}",
        "52:11 checks[2].show: no fact",
    ),
    (
        "listens: server\n      processes",
        "cpu: {of: server, since: killed, ticks: 1}\n      processes",
        "53:32 checks[2].show.cpu.since: no earlier look is named killed here",
    ),
    (
        "listens: server\n      processes",
        "signaled: {of: server, signal: KLIL, count: 1}\n      processes",
        "53:38 checks[2].show.signaled.signal: no signal is named KLIL here; did you mean KILL?",
    ),
    (
        "type: hello\n    to: c\n",
        "type: hello\n    to: server.child\n",
        "23:9 steps[2].to: `type` goes to a program, not to a process of it",
    ),
    (
        "say: A server, and",
        "say: \"{client2}: a server, and\"\n    #",
        "14:10 steps[0].say: no variable is named client2 here; did you mean client1?",
    ),
];

#[test]
fn mistakes_are_shown_where_they_are() {
    for (right, wrong, expected) in MISTAKES {
        assert!(example().contains(right), "{right}");
        assert_eq!(wrongs(&example().replacen(right, wrong, 1))[0], *expected, "{wrong}");
    }
}

/// The problems of an exercise, one per line.
fn wrongs(text: &str) -> Vec<String> {
    let error = parse(Path::new("x.yaml"), text).expect_err("this exercise is wrong");
    let problems = Problems::of(&error).unwrap().to_json();
    let line = |problem: &Value| {
        let word = |key: &str| problem[key].as_str().unwrap_or_default();
        let near = problem["suggestion"].as_str().map_or(String::new(), |s| format!("; did you mean {s}?"));
        format!("{}:{} {}: {}{near}", problem["line"], problem["column"], word("path"), word("message"))
    };
    problems.as_array().unwrap().iter().map(line).collect()
}

/// An exercise with these steps, and with a check that shows these facts.
fn exercise(steps: &str, show: &str) -> String {
    format!(
        "id: x\ntitle: x\nasks: x\nclients: 2\nports: {{port: 8001}}\nprograms: {{p: 'run {{port}}'}}\nsteps:\n{steps}\
         checks: [{{id: c, expect: x, show: {show}}}]\n"
    )
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = exercise(
        "- {start: a, program: q}\n- {type: hello, signal: KLIL, to: b}\n- {say: '{prot} {somebody}', look: l}\n\
         - {times: 3, steps: [{start: 'd{n}', program: p, on: 'client{n}'}]}\n- {on: server}\n",
        "{cpu: {of: d4, since: k, ticks: {min: 0}}}",
    );
    insta::assert_snapshot!(wrongs(&text).join("\n"), @r"
    8:11 steps[0].start: `start: a` needs `on: HOST`
    8:23 steps[0].program: no program is named q here; did you mean p?
    9:25 steps[1].signal: no signal is named KLIL here; did you mean KILL?
    9:25 steps[1].signal: a step does one thing: `type` or `signal`
    9:35 steps[1].to: no program is named b here; did you mean a?
    10:9 steps[2].say: no variable is named prot here; did you mean port?
    10:9 steps[2].say: no variable is named somebody here
    11:54 steps[3].steps[0].on: no host is named client3 here; did you mean client1?
    12:3 steps[4]: a step that does nothing
    12:8 steps[4].on: `on` needs `start`
    13:46 checks[0].show.cpu.of: no program is named d4 here; did you mean d1?
    13:57 checks[0].show.cpu.since: no earlier look is named k here; did you mean l?
    13:67 checks[0].show.cpu.ticks: any number would do
    ");
}

#[test]
fn what_is_counted_has_an_end() {
    let steps =
        "- {times: 2, steps: [{start: 'd{n}', program: p, on: 'client{n}', look: 'l{n}'}, {eof: 'd{n}'}]}\n";
    parse(Path::new("x.yaml"), &exercise(steps, "{program: {name: d2, ended: any}}")).unwrap();
    for (name, near) in [("d3", "; did you mean d1?"), ("d02", ""), ("d{n}", "")] {
        let found = wrongs(&exercise(steps, &format!("{{program: {{name: '{name}', ended: any}}}}")));
        let expected = format!("checks[0].show.program.name: no program is named {name} here{near}");
        assert!(found.len() == 1 && found[0].ends_with(&expected), "{found:?}");
    }
}

#[test]
fn braces_of_others_stay_in_commands_and_are_mistakes_in_words() {
    let braces = "'awk {print} ${HOME} {} {a,b}'";
    let steps = format!(
        "- {{start: s, run: {braces}, on: server}}\n- {{type: {braces}, to: s}}\n- {{say: '{{}} {{a,b}}'}}\n"
    );
    parse(Path::new("x.yaml"), &exercise(&steps, "{listens: s}")).unwrap();
    let found = wrongs(&exercise(&steps.replace("'{} {a,b}'", braces), "{listens: s}"));
    assert_eq!(found, ["10:9 steps[2].say: no variable is named print here"]);
}

#[test]
fn a_template_becomes_a_row_of_actions() {
    let template = parse(Path::new("x.yaml"), example()).unwrap();
    let roles = Roles::from([("server", "pc1"), ("client1", "pc2")].map(|(k, v)| (k.into(), v.into())));
    let ports = &template.exercise.ports;
    let bound = bind(&template, &roles, ports, None, &[].into(), None).unwrap();
    let actions = bound.steps.iter().map(|action| serde_json::to_string(action).unwrap());
    insta::assert_snapshot!(actions.collect::<Vec<_>>().join("\n"), @r#"
    {"say":"A server, and a client that is connected to it."}
    {"start":{"name":"server","on":"server","command":"tcpechod 8100","program":"server"}}
    {"require":{"facts":{"listens":"server"},"within_ms":5000}}
    {"start":{"name":"c","on":"client1","command":"tcpecho pc1 8100","program":null}}
    {"type":{"to":"c","line":"hello"}}
    {"wait":{"facts":{"program":[{"name":"c","prints":"hello"}]},"within_ms":5000}}
    {"say":"The child that serves it is killed."}
    {"signal":{"to":{"program":"server","which":"child"},"signal":9}}
    {"wait":{"facts":{"sockets":[{"on":"client1","state":"CLOSE_WAIT","count":1},{"on":"server","state":"FIN_WAIT2","count":1}],"processes":[{"of":"server","state":"Z","count":0}]},"within_ms":5000}}
    {"look":"killed"}
    "#);
}

#[test]
fn the_committed_schema_is_the_current_one() {
    let committed: Value = serde_json::from_str(include_str!("../../exercises/schema.json")).unwrap();
    assert!(
        committed == schema(),
        "exercises/schema.json is old: `netlab schema exercise >exercises/schema.json`"
    );
    for (name, text) in super::library::BUILT_IN {
        assert!(text.starts_with("# yaml-language-server: $schema=schema.json\n"), "{name}");
    }
}

#[test]
fn the_guide_has_every_word() {
    let schema = schema();
    let keys = |name: &str| {
        schema["$defs"][name]["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    for fact in keys("Facts") {
        assert!(
            README.contains(&format!("\n| `{fact}` |")),
            "exercises/README.md has no row for the fact `{fact}`"
        );
    }
    for word in keys("Step") {
        let found = [format!("`{word}`"), format!("`{word}: ")].iter().any(|word| README.contains(word));
        assert!(found, "exercises/README.md says nothing of `{word}`");
    }
}

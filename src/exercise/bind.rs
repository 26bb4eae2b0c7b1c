//! Turns a template into an exercise that a lab can run: chooses hosts, fills in placeholders, and expands repeated
//! steps.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::{
    library::Template,
    model::{Action, Exercise, Part},
    roles::{Roles, assign_roles},
};
use crate::{
    Error, Result,
    topology::Plan,
    yaml::{Bind, Text, Values},
};

/// Returns the exercise with its placeholders filled in. The user's programs replace the exercise's with the same
/// name. If one is judged, whatever is about another program is left out.
pub fn bind(
    template: &Template,
    roles: &Roles,
    ports: &IndexMap<String, u16>,
    workspace: Option<&str>,
    own: &IndexMap<String, String>,
    judged: Option<&str>,
) -> Result<Exercise> {
    let Exercise { id, programs, .. } = &template.exercise;
    if let Some(name) = own.keys().find(|name| !programs.contains_key(*name)) {
        let error = Error::usage(format!("exercise {id} runs no program \"{name}\""));
        return Err(error.hint("`netlab exercise` lists the programs of each"));
    }
    Ok(fill(&template.exercise, roles, ports, workspace, own, judged))
}

fn fill(
    exercise: &Exercise<Text, Part>,
    roles: &Roles,
    ports: &IndexMap<String, u16>,
    workspace: Option<&str>,
    own: &IndexMap<String, String>,
    judged: Option<&str>,
) -> Exercise {
    let Exercise { id, title, asks, explain, clients, ports: wanted, programs, steps, checks } = exercise;
    let mut named: BTreeMap<String, String> = roles.clone();
    named.extend(workspace.map(|folder| ("workspace".to_owned(), folder.to_owned())));
    named.extend(ports.iter().map(|(name, port)| (name.clone(), port.to_string())));
    let values = Values::new(&named);
    let programs = programs.iter().map(|(name, command)| {
        let command =
            own.get(name).map_or_else(|| command.bind(values), |own| bind_own(name, own, ports, &named));
        (name.clone(), command)
    });
    let programs = programs.collect();
    let checks = checks.iter().filter(|check| judged.is_none() || check.about.as_deref() == judged);
    Exercise {
        id: id.clone(),
        title: title.bind(values),
        asks: asks.bind(values),
        explain: explain.bind(values),
        clients: *clients,
        ports: wanted.clone(),
        steps: Binder { programs: &programs, judged }.actions(steps, values),
        checks: checks.map(|check| check.bind(values)).collect(),
        programs,
    }
}

/// Fills in a command of the user's. A program that has its own port, such as a variant of the server, may also call
/// that `{port}`.
fn bind_own(
    name: &str,
    command: &str,
    ports: &IndexMap<String, u16>,
    named: &BTreeMap<String, String>,
) -> String {
    let mut named = named.clone();
    named.extend(ports.get(name).map(|port| ("port".to_owned(), port.to_string())));
    Text::parse(command).bind(Values::new(&named))
}

/// Returns the exercise as it would be on a lab where its preferred ports are free, to show its texts without a run.
pub fn in_words(template: &Template, plan: &Plan) -> Exercise {
    let exercise = &template.exercise;
    let roles = assign_roles(plan, exercise.clients).unwrap_or_default();
    fill(exercise, &roles, &exercise.ports, None, &IndexMap::new(), None)
}

/// Turns steps into actions.
struct Binder<'b> {
    /// The commands of the exercise's programs, or of the user's that replace them.
    programs: &'b IndexMap<String, String>,
    /// The program that is judged, if any.
    judged: Option<&'b str>,
}

impl Binder<'_> {
    /// Returns the actions in order. Repeated steps are expanded, and those about a program other than the judged one
    /// are left out.
    fn actions(&self, parts: &[Part], values: Values<'_>) -> Vec<Action> {
        let mut all = Vec::new();
        for part in parts {
            if let (Some(judged), Some(about)) = (self.judged, part.about.as_deref())
                && judged != about
            {
                continue;
            }
            all.extend(part.actions.iter().map(|action| self.action(action, values)));
            match part.times {
                Some(times) => {
                    all.extend((1..=times).flat_map(|n| self.actions(&part.parts, values.repetition(n))));
                }
                None => all.extend(self.actions(&part.parts, values)),
            }
        }
        all
    }

    fn action(&self, action: &Action<Text>, values: Values<'_>) -> Action {
        let mut action = action.bind(values);
        if let Action::Start { command, program: Some(program), .. } = &mut action
            && let Some(bound) = self.programs.get(program)
        {
            command.clone_from(bound);
        }
        action
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::exercise;

    /// What an exercise with these steps does: each action as JSON.
    fn does(steps: &str, judged: Option<&str>, own: &[(&str, &str)]) -> Vec<String> {
        let text = format!(
            "id: x\ntitle: x\nasks: x\nclients: 2\nports: {{port: 8001, b: 8002}}\nprograms: {{a: 'run a {{port}}', b: 'run b {{b}}'}}\n\
             steps: {steps}\nchecks: []\n"
        );
        let template = exercise::parse(Path::new("x.yaml"), &text).unwrap();
        let roles = Roles::from(
            [("server", "pc1"), ("client1", "pc2"), ("client2", "pc3")].map(|(k, v)| (k.into(), v.into())),
        );
        let own = own.iter().map(|(name, command)| ((*name).to_owned(), (*command).to_owned())).collect();
        let bound = bind(&template, &roles, &template.exercise.ports, None, &own, judged).unwrap();
        bound.steps.iter().map(|action| serde_json::to_string(action).unwrap()).collect()
    }

    #[test]
    fn repeated_steps_are_counted_from_one() {
        let steps = "[{times: 2, say: two, steps: [{say: \"{n} on {client{n}}\"}, {times: 1, steps: [{say: \"{n}\"}]}]}, {say: x}]";
        let said = [r#"{"say":"two"}"#, r#"{"say":"1 on pc2"}"#, r#"{"say":"1"}"#].into_iter().chain([
            r#"{"say":"2 on pc3"}"#,
            r#"{"say":"1"}"#,
            r#"{"say":"x"}"#,
        ]);
        assert_eq!(does(steps, None, &[]), said.collect::<Vec<_>>());
    }

    #[test]
    fn steps_about_another_program_are_left_out() {
        let steps =
            "[{say: hello}, {about: a, say: group, steps: [{say: x}]}, {about: b, steps: [{say: y}]}]";
        let said = |words: &[&str]| words.iter().map(|w| format!("{{\"say\":\"{w}\"}}")).collect::<Vec<_>>();
        assert_eq!(does(steps, Some("a"), &[]), said(&["hello", "group", "x"]));
        assert_eq!(does(steps, Some("b"), &[]), said(&["hello", "y"]));
        assert_eq!(does(steps, None, &[]), said(&["hello", "group", "x", "y"]));
    }

    #[test]
    fn a_users_own_program_takes_the_place_of_the_exercises() {
        let steps = "[{start: s, on: server, program: a}, {start: t, on: server, program: b}]";
        let started = |command: &str| does(steps, None, &[("b", command)]).join("\n");
        assert!(started("./mine {port} {client1}").contains("\"command\":\"./mine 8002 pc2\""));
        assert!(started("./mine").contains("\"command\":\"run a 8001\""));
    }

    #[test]
    fn what_did_not_run_is_told_without_placeholders() {
        let plan = crate::topology::load(None).unwrap().plan("lab", &[]).unwrap();
        for template in exercise::all(None).unwrap() {
            let words = in_words(&template, &plan);
            let left: Vec<_> = words.checks.iter().filter(|check| check.expect.contains('{')).collect();
            assert!(left.is_empty(), "exercise {}: {left:?}", words.id);
        }
        let template = exercise::find("2", None).unwrap();
        let written = &template.exercise.checks;
        assert!(written.iter().any(|check| check.expect.contains("{port}")), "{written:?}");
    }

    #[test]
    fn a_bound_exercise_survives_its_record() {
        let plan = crate::topology::load(None).unwrap().plan("lab", &[]).unwrap();
        for template in exercise::all(None).unwrap() {
            let bound = in_words(&template, &plan);
            let text = serde_json::to_string(&bound).unwrap();
            let again: Exercise = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), text);
        }
    }
}

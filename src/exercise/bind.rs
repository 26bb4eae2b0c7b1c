//! From an exercise as written to one that can run: hosts chosen, variables filled in, repeated
//! steps written out.

use indexmap::IndexMap;
use serde_yaml::Value;

use super::{
    Roles, assign_roles,
    library::Template,
    model::{Exercise, Variables},
};
use crate::{Error, Result, error::Context, topology::Plan};

/// The exercise with its variables filled in. The user's programs take the place of the exercise's of
/// the same name; where one is judged, whatever does not judge it is left out.
pub fn bind(
    template: &Template,
    roles: &Roles,
    ports: &IndexMap<String, u16>,
    workspace: Option<&str>,
    own: &IndexMap<String, String>,
    judged: Option<&str>,
) -> Result<Exercise> {
    let mut variables: Variables = roles.clone();
    variables.extend(workspace.map(|folder| ("workspace".to_owned(), folder.to_owned())));
    variables.extend(ports.iter().map(|(name, port)| (name.clone(), port.to_string())));
    let mut tree = template.tree.clone();
    for (name, command) in own {
        let programs = tree.get_mut("programs").and_then(|p| p.get_mut(name)).ok_or_else(|| {
            Error::usage(format!("exercise {} runs no program \"{name}\"", template.exercise.id))
                .hint("`netlab exercise` lists the programs of each")
        })?;
        // A program with a port of its own, as a variant beside the server, may call it `{port}`, too.
        let port = ports.get(name).map(|port| ("port".to_owned(), port.to_string()));
        *programs = Value::from(fill_text(command, &port.into_iter().collect()));
    }
    if let Some(steps) = tree.get_mut("steps").and_then(Value::as_sequence_mut) {
        *steps = write_out(std::mem::take(steps), judged);
    }
    if let (Some(judged), Some(checks)) = (judged, tree.get_mut("checks").and_then(Value::as_sequence_mut)) {
        checks.retain(|check| about(check) == Some(judged));
    }
    fill(&mut tree, &variables);
    serde_yaml::from_value(tree).or_usage(|| template.path.display())
}

/// The exercise as it would be on a lab where the ports that it prefers are free: for its words where it did not run.
pub fn in_words(template: &Template, plan: &Plan) -> Exercise {
    let Template { exercise, .. } = template;
    let bound = assign_roles(plan, exercise.clients)
        .and_then(|roles| bind(template, &roles, &exercise.ports, None, &IndexMap::new(), None));
    bound.unwrap_or_else(|_| exercise.clone())
}

/// Groups of steps as single ones, one after the other: repeated ones with `{n}` filled in, and
/// without those about another program than the one judged.
fn write_out(steps: Vec<Value>, judged: Option<&str>) -> Vec<Value> {
    let mut all = Vec::new();
    for step in steps {
        if let (Some(judged), Some(about)) = (judged, about(&step))
            && judged != about
        {
            continue;
        }
        let Some(inner) = step.get("steps").and_then(Value::as_sequence) else {
            all.push(step);
            continue;
        };
        if let Some(say) = step.get("say") {
            all.push(Value::Mapping([("say".into(), say.clone())].into_iter().collect()));
        }
        for n in 1..=step.get("times").and_then(Value::as_u64).unwrap_or(1) {
            let mut copies = write_out(inner.clone(), judged);
            if step.get("times").is_some() {
                let counted = Variables::from([("n".to_owned(), n.to_string())]);
                copies.iter_mut().for_each(|copy| fill(copy, &counted));
            }
            all.extend(copies);
        }
    }
    all
}

/// The program that a step or a check is about.
fn about(tree: &Value) -> Option<&str> {
    tree.get("about").and_then(Value::as_str)
}

/// Fills in every `{name}` that is a variable, in every text of the tree.
fn fill(tree: &mut Value, variables: &Variables) {
    match tree {
        Value::String(text) => *text = fill_text(text, variables),
        Value::Sequence(items) => items.iter_mut().for_each(|item| fill(item, variables)),
        Value::Mapping(map) => map.iter_mut().for_each(|(_, value)| fill(value, variables)),
        _ => {}
    }
}

/// Fills in every `{name}` of a text that is a variable; others stay as they are.
pub fn fill_text(text: &str, variables: &Variables) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((variables.get(name)?, tail))) {
            Some((value, tail)) => {
                filled.push_str(value);
                rest = tail;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_other_braces_stay() {
        let variables = Variables::from([("port".into(), "8002".into())]);
        assert_eq!(fill_text("a {port} {x} {port", &variables), "a 8002 {x} {port");
    }

    #[test]
    fn what_did_not_run_is_told_without_variables() {
        let plan = crate::topology::load(None).unwrap().plan("lab", &[]).unwrap();
        for template in crate::exercise::all(None).unwrap() {
            let words = in_words(&template, &plan);
            let left: Vec<_> = words.checks.iter().filter(|check| check.expect.contains('{')).collect();
            assert!(left.is_empty(), "exercise {}: {left:?}", words.id);
        }
        let template = crate::exercise::find("2", None).unwrap();
        let written = &template.exercise.checks;
        assert!(written.iter().any(|check| check.expect.contains("{port}")), "{written:?}");
    }

    #[test]
    fn repeated_steps_are_counted_from_one() {
        let steps: Vec<Value> =
            serde_yaml::from_str("[{times: 2, steps: [{start: \"c{n}\"}, {eof: \"c{n}\"}]}, {eof: x}]")
                .unwrap();
        assert_eq!(texts(steps, None), ["start: c1\n", "eof: c1\n", "start: c2\n", "eof: c2\n", "eof: x\n"]);
    }

    #[test]
    fn steps_about_another_program_are_left_out() {
        let steps =
            "[{say: hello}, {about: a, say: group, steps: [{eof: x}]}, {about: b, steps: [{eof: y}]}]";
        let steps: Vec<Value> = serde_yaml::from_str(steps).unwrap();
        assert_eq!(texts(steps.clone(), Some("a")), ["say: hello\n", "say: group\n", "eof: x\n"]);
        assert_eq!(texts(steps.clone(), Some("b")), ["say: hello\n", "eof: y\n"]);
        assert_eq!(texts(steps, None), ["say: hello\n", "say: group\n", "eof: x\n", "eof: y\n"]);
    }

    fn texts(steps: Vec<Value>, judged: Option<&str>) -> Vec<String> {
        write_out(steps, judged).iter().map(|s| serde_yaml::to_string(s).unwrap()).collect()
    }
}

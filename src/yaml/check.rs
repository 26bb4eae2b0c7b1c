//! Checks a tree against a JSON schema.
//!
//! For a `pattern` that does not match, messages show `patternErrorMessage`, as editors do.

use std::cmp::Reverse;

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::{
    Entry, Node, Path, Problem, Value,
    problem::List,
    schema::{accepting, at_least, in_range, matches, words},
    wording::{describe, one_of, wrong},
};
use crate::suggest::nearest;

/// Returns what is valid in `node`, and adds the problems of the rest. Returns none if nothing is left that the schema
/// could accept.
pub(super) fn check(node: &Node, text: &str, schema: &Json, problems: &mut List) -> Option<Yaml> {
    Checker { root: schema, text, problems }.node(node, schema, &Path::default())
}

struct Checker<'a> {
    root: &'a Json,
    /// The text that the node was parsed from.
    text: &'a str,
    problems: &'a mut List,
}

impl<'a> Checker<'a> {
    fn node(&mut self, node: &Node, schema: &'a Json, path: &Path) -> Option<Yaml> {
        let alternatives = accepting(self.root, schema, &node.value);
        let Some(schema) = alternatives.iter().min_by_key(|s| Reverse(likeness(&node.value, s))) else {
            return self.wrong(node, schema, path);
        };
        if let (Value::Map(entries), 2..) = (&node.value, alternatives.len())
            && likeness(&node.value, schema) == 0
            && let Some(first) = entries.first()
        {
            let keys = alternatives.iter().filter_map(|s| s["properties"].as_object()).flat_map(|k| k.keys());
            self.unknown(first, keys.map(String::as_str), &path.key(&first.key));
            return None;
        }
        if let Some(words) = words(schema) {
            return self.word(node, schema, &words, path);
        }
        match &node.value {
            Value::Null => Some(Yaml::Null),
            Value::Bool(b) => Some((*b).into()),
            #[allow(clippy::cast_precision_loss)] // a bound far below 2^52 decides either way
            Value::Int(n) if in_range(*n as f64, schema) => Some((*n).into()),
            Value::Float(n) if in_range(*n, schema) => Some((*n).into()),
            Value::Text(text) if matches(text, schema) => Some(text.as_str().into()),
            Value::List(items) if at_least(items.len(), schema, "minItems") => {
                let mut rest = items.iter().enumerate();
                let good = rest.by_ref().filter_map(|(i, n)| self.node(n, &schema["items"], &path.index(i)));
                Some(Yaml::Sequence(good.collect()))
            }
            Value::Map(entries) if at_least(entries.len(), schema, "minProperties") => {
                self.map(node, entries, schema, path)
            }
            _ => self.wrong(node, schema, path),
        }
    }

    fn map(&mut self, node: &Node, entries: &[Entry], schema: &'a Json, path: &Path) -> Option<Yaml> {
        let mut good = serde_yaml::Mapping::new();
        for entry in entries {
            let here = path.key(&entry.key);
            if let Some(value) = self.entry(entry, schema, &here) {
                good.insert(entry.key.as_str().into(), value);
            }
        }
        let mut whole = true;
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if !entries.iter().any(|e| e.key == key) {
                self.problems.add(|| {
                    let problem = Problem::new(node.span.clone(), path.key(key), "missing");
                    problem.expected(format!("the key `{key}`"))
                });
            }
            whole &= good.contains_key(key);
        }
        whole.then_some(Yaml::Mapping(good))
    }

    fn entry(&mut self, entry: &Entry, schema: &'a Json, path: &Path) -> Option<Yaml> {
        let known = schema["properties"].as_object();
        if let Some(property) = known.and_then(|k| k.get(&entry.key)) {
            return self.node(&entry.value, property, path);
        }
        let others = schema.get("additionalProperties").filter(|s| **s != Json::Bool(false));
        let names = &schema["propertyNames"];
        match others {
            Some(_) if !matches(&entry.key, names) => {
                self.problems.add(|| {
                    let problem = Problem::new(entry.key_span.clone(), path.clone(), "wrong name");
                    let usual = entry.key.to_lowercase().replace(['_', ' '], "-");
                    let meant = Some(usual).filter(|name| matches(name, names));
                    problem.expected(describe(self.root, names)).suggest(meant)
                });
                None
            }
            Some(schema) => self.node(&entry.value, schema, path),
            None => {
                self.unknown(entry, known.into_iter().flat_map(|k| k.keys().map(String::as_str)), path);
                None
            }
        }
    }

    fn unknown<'k>(&mut self, entry: &Entry, known: impl Iterator<Item = &'k str>, path: &Path) {
        self.problems.add(|| {
            let known: Vec<_> = known.collect();
            let near = nearest(&entry.key, known.iter().copied());
            let problem = Problem::new(entry.key_span.clone(), path.clone(), "unknown key");
            problem.suggest(near).expected(one_of(known))
        });
    }

    fn word(&mut self, node: &Node, schema: &'a Json, words: &[&str], path: &Path) -> Option<Yaml> {
        match &node.value {
            Value::Text(text) if words.contains(&text.as_str()) => Some(text.as_str().into()),
            Value::Text(text) => {
                self.problems.add(|| {
                    wrong(self.root, self.text, node, schema, path)
                        .suggest(nearest(text, words.iter().copied()))
                });
                None
            }
            _ => self.wrong(node, schema, path),
        }
    }

    fn wrong(&mut self, node: &Node, schema: &Json, path: &Path) -> Option<Yaml> {
        self.problems.add(|| wrong(self.root, self.text, node, schema, path));
        None
    }
}

/// How well a value fits an alternative: the number of keys that both have, or whether it is valid.
fn likeness(value: &Value, schema: &Json) -> usize {
    match value {
        Value::Map(entries) => {
            let known = schema["properties"].as_object();
            entries.iter().filter(|e| known.is_some_and(|k| k.contains_key(&e.key))).count()
        }
        Value::Text(text) => match words(schema) {
            Some(words) => words.contains(&text.as_str()).into(),
            None => matches(text, schema).into(),
        },
        _ => 1,
    }
}

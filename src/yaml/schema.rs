//! Reads the subset of JSON Schema that our own schemas use. A test ensures that they use no more.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::Regex;
use serde_json::Value as Json;

use super::Value;

/// Follows a `$ref`.
pub(super) fn resolve<'a>(root: &'a Json, schema: &'a Json) -> &'a Json {
    let target = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

pub(super) fn branches(schema: &Json) -> Option<&Vec<Json>> {
    schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())
}

/// The words of an enumeration, which schemars writes as `enum`, `const`, or a choice of these.
pub(super) fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(Json::as_str).collect();
    }
    let choice: Option<Vec<_>> = branches(schema)?.iter().map(words).collect();
    choice.map(|words| words.concat())
}

/// The alternatives of a schema that are for values of that kind; none if such a value cannot be valid.
pub(super) fn accepting<'a>(root: &'a Json, schema: &'a Json, value: &Value) -> Vec<&'a Json> {
    let schema = resolve(root, schema);
    if let Some(branches) = branches(schema).filter(|_| words(schema).is_none()) {
        return branches.iter().flat_map(|branch| accepting(root, branch, value)).collect();
    }
    let kinds: &[&str] = match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Int(_) => &["integer", "number"],
        Value::Float(_) => &["number"],
        Value::Text(_) => &["string"],
        Value::List(_) => &["array"],
        Value::Map(_) => &["object"],
    };
    let accepts = types(schema).iter().any(|t| kinds.contains(t));
    accepts.then_some(schema).into_iter().collect()
}

pub(super) fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ if words(schema).is_some() => vec!["string"],
        _ => vec![],
    }
}

pub(super) fn in_range(n: f64, schema: &Json) -> bool {
    let bound = |key: &str| schema[key].as_f64();
    bound("minimum").is_none_or(|min| n >= min) && bound("maximum").is_none_or(|max| n <= max)
}

pub(super) fn matches(text: &str, schema: &Json) -> bool {
    let is_address = || text.parse::<std::net::Ipv4Addr>().is_ok();
    at_least(text.chars().count(), schema, "minLength")
        && schema["pattern"].as_str().is_none_or(|p| pattern(p).is_match(text))
        && (schema["format"] != "ipv4" || is_address())
}

/// Returns a pattern of one of our schemas, compiled once: a file may have a thousand names to match.
fn pattern(pattern: &str) -> Regex {
    static COMPILED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if !compiled.contains_key(pattern) {
        let regex = Regex::new(pattern).expect("a pattern of our own");
        compiled.insert(pattern.to_owned(), regex);
    }
    compiled[pattern].clone()
}

pub(super) fn at_least(length: usize, schema: &Json, key: &str) -> bool {
    schema[key].as_u64().is_none_or(|min| length as u64 >= min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keywords that the checker handles or may ignore.
    const KEYWORDS: [&str; 24] = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "oneOf",
        "pattern",
        "patternErrorMessage",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
    ];

    fn keywords(schema: &Json, found: &mut Vec<String>) {
        let Json::Object(schema) = schema else { return };
        for (keyword, value) in schema {
            found.push(keyword.clone());
            match (keyword.as_str(), value) {
                ("$defs" | "properties", Json::Object(named)) => {
                    named.values().for_each(|schema| keywords(schema, found));
                }
                (_, Json::Array(several)) => several.iter().for_each(|schema| keywords(schema, found)),
                ("default", _) => {}
                _ => keywords(value, found),
            }
        }
    }

    #[test]
    fn our_schemas_use_nothing_that_the_checker_does_not_know() {
        let mut found = Vec::new();
        keywords(&crate::topology::schema(), &mut found);
        keywords(&crate::exercise::schema(), &mut found);
        keywords(&crate::class::course::schema(), &mut found);
        found.retain(|keyword| !KEYWORDS.contains(&keyword.as_str()));
        assert!(found.is_empty(), "{found:?}");
    }
}

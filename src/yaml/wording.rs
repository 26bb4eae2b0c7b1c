//! Describes schemas and values in words, for messages.

use serde_json::Value as Json;

use super::{
    Node, Path, Problem, Value,
    schema::{accepting, branches, matches, resolve, types, words},
    tree::plain,
};

/// A YAML number or word this long, in bytes, or longer is not quoted.
const LONGEST_WORD: usize = 40;

/// Returns the problem of a value that its schema does not accept.
pub(super) fn wrong(root: &Json, text: &str, node: &Node, schema: &Json, path: &Path) -> Problem {
    let written = written(text, node);
    Problem::new(node.span.clone(), path.clone(), format!("wrong value: {}", found(&node.value, written)))
        .expected(describe(root, schema))
        .suggest(meant(root, &node.value, written, schema))
}

/// Describes what a schema accepts.
pub(super) fn describe(root: &Json, schema: &Json) -> String {
    let schema = resolve(root, schema);
    if let Some(message) = schema["patternErrorMessage"].as_str() {
        return message.to_owned();
    }
    if let Some(words) = words(schema) {
        return one_of(words);
    }
    let described: Vec<_> = match branches(schema) {
        Some(branches) => branches.iter().map(|b| describe(root, b)).filter(|d| d != "nothing").collect(),
        None => types(schema).iter().filter(|t| **t != "null").map(|t| describe_type(t, schema)).collect(),
    };
    if described.is_empty() { "nothing".into() } else { described.join(" or ") }
}

fn describe_type(kind: &str, schema: &Json) -> String {
    let range = || match (schema.get("minimum"), schema.get("maximum")) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(", at least {min}"),
        (None, Some(max)) => format!(", at most {max}"),
        (None, None) => String::new(),
    };
    match kind {
        "boolean" => "`true` or `false`".into(),
        "integer" => format!("a whole number{}", range()),
        "number" => format!("a number{}", range()),
        "string" if schema["format"] == "ipv4" => "an IPv4 address".into(),
        "array" if schema.get("minItems").is_some() => "a list that is not empty".into(),
        "array" => "a list".into(),
        "object" if schema.get("minProperties").is_some() => "at least one `name: …`".into(),
        "object" => "a mapping, `key: value`".into(),
        _ if schema.get("minLength").is_some() => "text that is not empty".into(),
        _ => "text".into(),
    }
}

pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(|w| format!("`{w}`")).collect();
    if words.len() == 1 { words.concat() } else { format!("one of {}", words.join(", ")) }
}

/// A value as the file spells it; none if the value is written elsewhere, as for an alias.
fn written<'t>(text: &'t str, node: &Node) -> Option<&'t str> {
    text.get(node.span.clone()).filter(|word| word.len() < LONGEST_WORD && plain(word) == node.value)
}

/// Describes what a file has instead.
fn found(value: &Value, written: Option<&str>) -> String {
    match (value, written) {
        (Value::Bool(_), Some(word)) => return format!("`{word}`"),
        (Value::Int(_) | Value::Float(_), Some(word)) => return format!("the number {word}"),
        _ => {}
    }
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Int(n) => format!("the number {n}"),
        Value::Float(n) => format!("the number {n:?}"),
        Value::Text(text) if text.is_empty() => "empty text".into(),
        Value::Text(text) => format!("the text `{}`", shorten(text)),
        Value::List(items) if items.is_empty() => "an empty list".into(),
        Value::List(_) => "a list".into(),
        Value::Map(entries) if entries.is_empty() => "an empty mapping".into(),
        Value::Map(_) => "a mapping".into(),
    }
}

fn shorten(text: &str) -> String {
    let short: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().count() > 40 { short + "…" } else { short }
}

/// What was probably meant by a value that confuses text with another kind.
fn meant(root: &Json, value: &Value, written: Option<&str>, schema: &Json) -> Option<String> {
    let wants = |kind: &Value| accepting(root, schema, kind).first().copied();
    let quoted = |text: String| {
        let is_right = |s: &&Json| matches(&text, s) && words(s).is_none_or(|w| w.contains(&text.as_str()));
        wants(&Value::Text(String::new())).filter(is_right).map(|_| format!("\"{text}\""))
    };
    let as_written = |value: &dyn ToString| written.map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Bool(b) => quoted(as_written(b)),
        Value::Int(n) => quoted(as_written(n)),
        Value::Float(n) => quoted(as_written(n)),
        Value::Text(t) if wants(&Value::Bool(true)).is_some() => match t.to_lowercase().as_str() {
            "yes" | "y" | "on" => Some("true".into()),
            "no" | "n" | "off" => Some("false".into()),
            _ => None,
        },
        Value::Text(t) => wants(&Value::Int(0)).and(t.parse::<i64>().ok()).map(|n| n.to_string()),
        _ => None,
    }
}

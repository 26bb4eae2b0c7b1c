//! Files that people write.

use std::path::Path;

use super::assert_harmless;
use crate::{
    Error,
    class::course::Course,
    exercise,
    topology::Topology,
    workspace::Manifest,
    yaml::{Document, MAX_BYTES, Problems},
};

/// Words of Rust and of the YAML library, which must not appear in messages.
const INTERNAL: [&str; 12] = [
    "serde",
    "Option<",
    "std::",
    "Vec<",
    "Some(",
    "u16",
    "i64",
    "struct ",
    "enum ",
    "while parsing",
    "while scanning",
    "did not find",
];

/// Reads the text as each kind of file, and renders its problems in plain text, in colour and as JSON.
pub fn yaml(bytes: &[u8]) {
    let document = match Document::parse("fuzz.yaml", bytes) {
        Ok(document) => document,
        Err(problems) => return look(&problems, bytes),
    };
    let folder = Path::new("/nonexistent");
    let mut errors = vec![
        exercise::from_document(&document).err(),
        Manifest::checked(&document).err(),
        Topology::from_document(document.clone(), folder)
            .and_then(|topology| topology.plan("lab", &[]))
            .err(),
    ];
    // A course reads every exercise, which takes long, and these keys name files outside the text.
    let is_course = Course::KEYS.iter().any(|key| document.has(key));
    if is_course && !document.has("exercises") && !document.has("starter") {
        errors.push(Course::from_document(&document, folder).err());
    }
    for error in errors.into_iter().flatten() {
        assert_harmless(&error.with_causes());
        match Problems::of(&error) {
            Some(problems) => look(problems, bytes),
            None => assert_no_internals(&error, bytes),
        }
    }
}

fn look(problems: &Problems, bytes: &[u8]) {
    let plain = problems.render(false);
    assert_harmless(&plain);
    assert_in_our_words(&plain, bytes);
    // Colours are expected; any other control is not.
    let colours = problems.render(true).replace("\x1b[", "");
    assert!(!colours.contains('\x1b'), "{colours:?}");
    let lines = bytes.split(|b| *b == b'\n').count();
    for record in problems.to_json().as_array().expect("a list") {
        let number = |key: &str| record[key].as_u64().expect("a number");
        assert!((1..=lines as u64).contains(&number("line")), "{record}");
        assert!((1..=MAX_BYTES as u64 + 1).contains(&number("column")), "{record}");
        assert!(record["message"].as_str().is_some_and(|message| !message.is_empty()), "{record}");
    }
}

fn assert_no_internals(error: &Error, bytes: &[u8]) {
    assert_in_our_words(&error.with_causes(), bytes);
}

/// Asserts that a message has an internal word only if the file itself has it.
fn assert_in_our_words(message: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = INTERNAL.iter().find(|word| message.contains(**word) && !text.contains(**word));
    assert_eq!(found, None, "{message}");
}

//! What the documents say about tests.

use std::{collections::BTreeSet, fs, path::Path};

/// Every test that a page names for a promise exists.
#[test]
fn documents_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "tests"] {
        read(&root.join(folder), &mut code);
    }
    for page in ["docs/promises.md", "SECURITY.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).filter(|name| is_test(name)).collect();
        assert!(named.len() > 10, "{page}: {named:?}");
        let missing: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{page} names no test by {missing:?}");
    }
}

/// Tests are sentences.
fn is_test(name: &str) -> bool {
    name.matches('_').count() >= 2
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn read(folder: &Path, code: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, code);
        } else if path.extension().is_some_and(|e| e == "rs") {
            *code += &fs::read_to_string(path).unwrap();
        }
    }
}

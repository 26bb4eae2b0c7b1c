//! The evidence of a run, which anybody may have written.

use super::assert_harmless;
use crate::report::{Evidence, Format};

/// Reads the bytes as evidence, and writes every format of report from it.
pub fn evidence(bytes: &[u8]) {
    let Ok(evidence) = serde_json::from_slice::<Evidence>(bytes) else { return };
    for format in [Format::Html, Format::Json, Format::Markdown, Format::Junit] {
        let report = format.render(&evidence).expect("a report of any evidence");
        match format {
            // Read by programs; its strings may hold any character that JSON allows.
            Format::Json => drop(serde_json::from_str::<serde_json::Value>(&report).expect("JSON")),
            _ => assert_harmless(&report),
        }
        if format == Format::Junit {
            assert_well_formed(&report);
        }
    }
}

/// Asserts that elements are closed in order, and that no `<` stands anywhere else.
fn assert_well_formed(xml: &str) {
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').unwrap_or_else(|| panic!("a tag without an end: {tag:?}"));
        assert!(!text.contains('>'), "in {text:?}");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        match tag {
            _ if tag.starts_with('?') || tag.ends_with('/') => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "in {xml:?}"),
            _ => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

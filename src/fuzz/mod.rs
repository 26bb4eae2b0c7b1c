//! The functions that a fuzzer calls: one for each reader of input that somebody else wrote. Each takes any bytes and
//! panics if a promise is broken.
//!
//! They are here and not in `fuzz/` because some of the readers are private. The same functions run over the inputs
//! in `fuzz/corpus/` as an ordinary test.

#![allow(clippy::missing_panics_doc, reason = "panicking is their purpose")]

mod archive;
mod capture;
mod conversations;
mod evidence;
mod keeper;
mod kernel;
mod observer;
mod yaml;

pub use archive::archive;
pub use capture::capture;
pub use conversations::conversations;
pub use evidence::evidence;
pub use keeper::keeper;
pub use kernel::kernel;
pub use observer::observer;
pub use yaml::yaml;

use serde::{Serialize, de::DeserializeOwned};

/// Asserts that a text of several lines contains no terminal controls.
fn assert_harmless(text: &str) {
    let steers = text.chars().find(|c| *c != '\n' && crate::printable::steers(*c));
    assert_eq!(steers, None, "in {text:?}");
}

/// Reads a message; if that succeeds, asserts that writing and reading it again gives the same.
fn assert_comes_back<T: Serialize + DeserializeOwned>(json: &[u8]) -> Option<T> {
    let message: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_string(&message).expect("a message of plain data");
    let back: T = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&back).expect("a message of plain data"), written);
    Some(message)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 8] = [
        ("archive", super::archive),
        ("capture", super::capture),
        ("conversations", super::conversations),
        ("evidence", super::evidence),
        ("keeper", super::keeper),
        ("kernel", super::kernel),
        ("observer", super::observer),
        ("yaml", super::yaml),
    ];

    #[test]
    fn the_corpus_breaks_nothing() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let names = |folder: &str| {
            let entries = fs::read_dir(fuzz.join(folder)).unwrap();
            let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            paths
        };
        let stems: Vec<_> = names("fuzz_targets").iter().map(|p| p.file_stem().unwrap().to_owned()).collect();
        assert_eq!(stems, TARGETS.map(|(name, _)| name), "a file in fuzz_targets for each function");
        for (name, run) in TARGETS {
            let inputs = names(&format!("corpus/{name}"));
            assert!(inputs.len() >= 5, "{name} has {} inputs", inputs.len());
            for input in inputs {
                // Names the input if it panics.
                eprintln!("{}", input.display());
                run(&fs::read(input).unwrap());
            }
        }
    }
}

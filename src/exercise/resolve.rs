//! Turns an exercise as written into one whose every step can be performed, and reports everything that is wrong with
//! it beyond what a schema can express.

use std::collections::BTreeSet;

use super::{
    model::{Check, Exercise, Part, Written},
    names::Names,
    steps,
};
use crate::yaml::{Document, Path, Problems, Text};

/// Resolves an exercise. Adds whatever is wrong to `problems`; the result is then useless.
pub fn resolve(written: Written, document: &Document, problems: &mut Problems) -> Exercise<Text, Part> {
    let mut names = Names::new(&written, document, problems);
    let root = Path::default();
    for (key, text) in [("title", &written.title), ("asks", &written.asks), ("explain", &written.explain)] {
        names.words(&root.key(key), text);
    }
    for (name, command) in &written.programs {
        names.command(&root.key("programs").key(name), command);
    }
    let parts = steps::resolve(&written.steps, &mut names, &root.key("steps"));
    let mut ids = BTreeSet::new();
    for (n, check) in written.checks.iter().enumerate() {
        let path = root.key("checks").index(n);
        if !ids.insert(check.id.as_str()) {
            names.wrong(&path.key("id"), format!("two checks have the id {}", check.id), None);
        }
        check.check(&mut names, &path);
    }
    written.with_steps(parts)
}

impl Check<Text> {
    fn check(&self, names: &mut Names<'_>, path: &Path) {
        if let Some(program) = &self.about {
            names.listed(&path.key("about"), program);
        }
        names.words(&path.key("expect"), &self.expect);
        for (n, hint) in self.hints.iter().enumerate() {
            names.words(&path.key("hints").index(n), hint);
        }
        names.at(&path.key("at"), self.at.as_ref());
        self.show.check(names, &path.key("show"));
    }
}

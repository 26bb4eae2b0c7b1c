//! The available exercises: those compiled in, and those of a folder, which may replace them.

use std::path::{Path, PathBuf};

use super::{
    model::{Exercise, Part, Written},
    resolve,
};
use crate::{
    Error, Result,
    digest::sha256,
    error::Context,
    suggest::nearest,
    yaml::{self, Document, Text},
};

/// The assignment's sections, in the handout's order.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    ("processes.yaml", include_str!("../../exercises/processes.yaml")),
    ("threads.yaml", include_str!("../../exercises/threads.yaml")),
    ("1.yaml", include_str!("../../exercises/1.yaml")),
    ("2.yaml", include_str!("../../exercises/2.yaml")),
    ("3.yaml", include_str!("../../exercises/3.yaml")),
    ("4.yaml", include_str!("../../exercises/4.yaml")),
    ("5.yaml", include_str!("../../exercises/5.yaml")),
    ("6.yaml", include_str!("../../exercises/6.yaml")),
    ("signals.yaml", include_str!("../../exercises/signals.yaml")),
    ("pool.yaml", include_str!("../../exercises/pool.yaml")),
    ("crash.yaml", include_str!("../../exercises/crash.yaml")),
];

/// An exercise that can run, before it is bound to a lab.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its content; texts still have their placeholders.
    pub exercise: Exercise<Text, Part>,
    /// Its file's content in a form that does not depend on layout and comments.
    text: String,
}

impl Template {
    /// A digest of the content: the same for files that differ only in layout and comments.
    pub(crate) fn fingerprint(&self) -> String {
        sha256(&self.text)
    }

    /// Whether it names `{workspace}`, the folder of the assignment's sources on the server's host.
    pub fn needs_sources(&self) -> bool {
        self.text.contains("{workspace}")
    }
}

/// Returns every exercise, in order. Those of `folder` replace compiled-in ones with the same file name; others
/// follow them.
pub fn all(folder: Option<&Path>) -> Result<Vec<Template>> {
    let built_in = BUILT_IN.iter().map(|(name, text)| {
        let path = PathBuf::from("exercises").join(name);
        parse(&path, text).map(|template| (path, template))
    });
    let mut all: Vec<(PathBuf, Template)> = built_in.collect::<Result<_>>()?;
    for (path, template) in folder.map(read_folder).transpose()?.unwrap_or_default() {
        match all.iter_mut().find(|(known, _)| known.file_name() == path.file_name()) {
            Some(known) => *known = (path, template),
            None => all.push((path, template)),
        }
    }
    Ok(all.into_iter().map(|(_, template)| template).collect())
}

/// Returns the exercise with that id.
pub fn find(id: &str, folder: Option<&Path>) -> Result<Template> {
    let mut all = all(folder)?;
    if let Some(at) = all.iter().position(|t| t.exercise.id == id) {
        return Ok(all.swap_remove(at));
    }
    let ids: Vec<_> = all.iter().map(|t| t.exercise.id.as_str()).collect();
    let error = Error::usage(format!("no exercise \"{id}\""));
    Err(match nearest(id, ids.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}? `netlab exercise` lists them")),
        None => error.hint(format!("there are: {}", ids.join(", "))),
    })
}

/// Reads one exercise's text. The error carries every problem in it ([`crate::yaml::Problems`]).
pub fn parse(path: &Path, text: &str) -> Result<Template> {
    from_document(&Document::parse(&path.to_string_lossy(), text.as_bytes())?)
}

/// Resolves a parsed file.
pub fn from_document(document: &Document) -> Result<Template> {
    document.resolve(|written: Written, problems| {
        let text = serde_json::to_string(&written).or_usage(|| document.name.clone())?;
        Ok(Template { exercise: resolve::resolve(written, document, problems), text })
    })
}

/// The JSON schema of an exercise file.
pub fn schema() -> serde_json::Value {
    yaml::schema::<Written>()
}

fn read_folder(folder: &Path) -> Result<Vec<(PathBuf, Template)>> {
    let entries = std::fs::read_dir(folder).or_usage(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| from_document(&Document::read(&path)?).map(|template| (path, template));
    paths.into_iter().map(read).collect()
}

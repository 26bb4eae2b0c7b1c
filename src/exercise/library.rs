//! The exercises there are: those compiled in, and those of a folder that takes their place.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::{model::Exercise, validate};
use crate::{
    Error, Result,
    error::Context,
    own,
    suggest::nearest,
    yaml::{Document, MAX_BYTES},
};

/// The assignment's sections, in the handout's order.
const BUILT_IN: &[(&str, &str)] = &[
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

/// An exercise as written: its variables not yet filled in.
#[derive(Clone, Debug)]
pub struct Template {
    /// What it says, for a person; texts still have their `{variables}`.
    pub exercise: Exercise,
    /// The file as a tree, to fill in.
    pub(super) tree: Value,
    /// Where it was read, for errors.
    pub path: PathBuf,
}

impl Template {
    /// The same for the same file.
    pub(crate) fn fingerprint(&self) -> String {
        crate::digest::sha256(serde_yaml::to_string(&self.tree).unwrap_or_default())
    }

    /// Whether it names `{workspace}`, the folder of the assignment's sources on the server's host.
    pub fn needs_sources(&self) -> bool {
        serde_yaml::to_string(&self.tree).is_ok_and(|text| text.contains("{workspace}"))
    }
}

/// Every exercise, in order. Those of `folder` come instead of compiled-in ones of the same file
/// name, or after them.
pub fn all(folder: Option<&Path>) -> Result<Vec<Template>> {
    let mut files: Vec<(PathBuf, String)> =
        BUILT_IN.iter().map(|(name, text)| (PathBuf::from("exercises").join(name), (*text).into())).collect();
    for (path, text) in folder.map(read_folder).transpose()?.unwrap_or_default() {
        match files.iter_mut().find(|(known, _)| known.file_name() == path.file_name()) {
            Some(known) => *known = (path, text),
            None => files.push((path, text)),
        }
    }
    files.iter().map(|(path, text)| parse(path, text)).collect()
}

/// The exercise of that id.
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

/// Reads one exercise's text. The error carries every problem of it ([`crate::yaml::Problems`]).
pub fn parse(path: &Path, text: &str) -> Result<Template> {
    from_document(&Document::parse(&path.to_string_lossy(), text.as_bytes())?)
}

/// What a parsed file says.
pub fn from_document(document: &Document) -> Result<Template> {
    let (exercise, mut problems) = document.typed::<Exercise>();
    if let Some(exercise) = &exercise {
        validate::check(exercise, document, &mut problems);
    }
    let exercise = problems.into_result(exercise)?;
    let tree = serde_yaml::from_str(&document.text).or_usage(|| document.name.clone())?;
    Ok(Template { exercise, tree, path: document.name.clone().into() })
}

/// The JSON schema of an exercise file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Exercise).to_value()
}

fn read_folder(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = std::fs::read_dir(folder).or_usage(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let what = || format!("cannot read {}", path.display());
            let text = own::read_anybodys(&path, MAX_BYTES as u64).or_usage(what)?;
            let text = String::from_utf8(text).or_usage(what)?;
            Ok((path, text))
        })
        .collect()
}

//! `netlab.yaml`: which programs a workspace has, and how they are compiled.

use std::path::Path;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::MANIFEST;
use crate::{Result, yaml::Document};

/// What `netlab check` runs. The workspace is `/lab` on every host; in the commands, `{port}` stands
/// for the port to use and `{server}` for the server's host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Compiles the programs, in a shell on the server's host.
    #[serde(default)]
    pub build: Option<String>,
    /// The server.
    #[serde(default)]
    pub server: Option<String>,
    /// The client.
    #[serde(default)]
    pub client: Option<String>,
    /// Further builds that a section asks for, as `without_reaper`, by the exercises' names for them.
    #[serde(default)]
    pub builds: IndexMap<String, String>,
}

impl Manifest {
    /// Reads the manifest of a workspace. The error carries every problem of it
    /// ([`crate::yaml::Problems`]).
    pub fn read(folder: &Path) -> Result<Self> {
        Self::from_document(&Document::read(&folder.join(MANIFEST))?)
    }

    /// What a parsed file says.
    pub fn from_document(document: &Document) -> Result<Self> {
        let (manifest, problems) = document.typed::<Self>();
        Ok(problems.into_result(manifest)?)
    }

    /// Every command by the exercises' name for its program.
    pub fn programs(&self) -> IndexMap<String, String> {
        let named = [("server", &self.server), ("client", &self.client)];
        let named = named.into_iter().filter_map(|(name, command)| Some((name.to_owned(), command.clone()?)));
        named.chain(self.builds.clone()).collect()
    }
}

/// The JSON schema of a manifest.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Manifest).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starters_manifest_names_three_programs() {
        let text = include_str!("../../workspace/netlab.yaml");
        let document = Document::parse(MANIFEST, text.as_bytes()).unwrap();
        let programs = Manifest::from_document(&document).unwrap().programs();
        assert_eq!(programs.keys().collect::<Vec<_>>(), ["server", "client", "without_reaper"]);
    }

    #[test]
    fn a_mistyped_key_is_shown_with_the_nearest_one() {
        let document = Document::parse(MANIFEST, b"sever: ./x {port}\n").unwrap();
        let error = Manifest::from_document(&document).unwrap_err();
        let problems = crate::yaml::Problems::of(&error).unwrap().render(false);
        assert!(problems.contains("server") && problems.contains("netlab.yaml:1:1"), "{problems}");
    }
}

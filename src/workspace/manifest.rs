//! `netlab.yaml`: the programs of a workspace, and how to compile them.

use std::path::Path as FilePath;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::MANIFEST;
use crate::{
    Result,
    suggest::nearest,
    yaml::{self, Document, Path, Text},
};

/// The variables in a command.
const VARIABLES: [&str; 2] = ["port", "server"];

/// The programs that `netlab check` runs. The workspace is `/lab` on every host; in the commands,
/// `{port}` stands for the port to use and `{server}` for the server's host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The command that compiles the programs, run by a shell on the server's host.
    #[serde(default)]
    pub build: Option<String>,
    /// The command that starts the server.
    #[serde(default)]
    pub server: Option<String>,
    /// The command that starts the client.
    #[serde(default)]
    pub client: Option<String>,
    /// Further builds that sections ask for, by the exercises' names for them, e.g. `without_reaper`.
    #[serde(default)]
    pub builds: IndexMap<String, String>,
}

impl Manifest {
    /// Reads the manifest of a workspace. The error carries every problem in it
    /// ([`crate::yaml::Problems`]).
    pub fn read(folder: &FilePath) -> Result<Self> {
        Self::from_document(&Document::read(&folder.join(MANIFEST))?)
    }

    /// Takes the manifest from a parsed file.
    pub fn from_document(document: &Document) -> Result<Self> {
        document.resolve(|manifest, _| Ok(manifest))
    }

    /// Takes the manifest from a parsed file, if each of its commands can be used.
    pub fn checked(document: &Document) -> Result<Self> {
        document.resolve(|manifest: Self, problems| {
            for (path, command) in manifest.commands() {
                if let Some((message, meant)) = misused(&Text::parse(command)) {
                    problems.add(|| {
                        let problem = document.value(&path, message);
                        let problem = problem.suggest(meant.map(|name| format!("{{{name}}}")));
                        problem.expected("`{port}`, and `{server}` for a client, where they belong")
                    });
                }
            }
            Ok(manifest)
        })
    }

    /// Returns every command that takes a port, with its place in the file.
    fn commands(&self) -> impl Iterator<Item = (Path, &str)> {
        let own = [("server", &self.server), ("client", &self.client)];
        let own = own
            .into_iter()
            .filter_map(|(key, command)| Some((Path::default().key(key), command.as_deref()?)));
        let builds = Path::default().key("builds");
        own.chain(self.builds.iter().map(move |(name, command)| (builds.key(name), command.as_str())))
    }

    /// Returns every command by the exercises' name for its program.
    pub fn programs(&self) -> IndexMap<String, String> {
        let named = [("server", &self.server), ("client", &self.client)];
        let named = named.into_iter().filter_map(|(name, command)| Some((name.to_owned(), command.clone()?)));
        named.chain(self.builds.clone()).collect()
    }
}

/// Returns what is wrong with the variables of a command, and the variable that was probably meant. Other braces
/// belong to the shell or to the program.
fn misused(command: &Text) -> Option<(String, Option<&'static str>)> {
    let mut unknown = command.placeholders().filter(|word| !VARIABLES.contains(word));
    if let Some((word, near)) = unknown.find_map(|word| Some((word, nearest(word, VARIABLES)?))) {
        return Some((format!("unknown variable: `{{{word}}}`"), Some(near)));
    }
    (!command.placeholders().any(|word| word == "port")).then(|| ("does not use `{port}`".to_owned(), None))
}

/// Returns the JSON schema of a manifest.
pub fn schema() -> serde_json::Value {
    yaml::schema::<Manifest>()
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
    fn a_command_is_told_its_port_by_the_right_name() {
        for (text, expected) in [
            ("server: ./s {prot}\n", Some("server: unknown variable: `{prot}`")),
            ("client: ./c {servr} {port}\n", Some("client: unknown variable: `{servr}`")),
            ("server: ./s {port\n", Some("server: does not use `{port}`")),
            ("builds: {without_reaper: ./s 8001}\n", Some("builds.without_reaper: does not use `{port}`")),
            ("server: ./s {port}\nbuild: make {all}\n", None),
            ("server: awk '{print}' ${HOME}/{a,b} {port}\n", None),
        ] {
            let document = Document::parse(MANIFEST, text.as_bytes()).unwrap();
            let said = Manifest::checked(&document).err();
            let said = said.map(|error| crate::yaml::Problems::of(&error).unwrap().render(false));
            let fits =
                expected.map_or(said.is_none(), |e| said.as_ref().is_some_and(|said| said.contains(e)));
            assert!(fits, "{text}: {said:?}");
        }
    }

    #[test]
    fn a_mistyped_key_is_shown_with_the_nearest_one() {
        let document = Document::parse(MANIFEST, b"sever: ./x {port}\n").unwrap();
        let error = Manifest::from_document(&document).unwrap_err();
        let problems = crate::yaml::Problems::of(&error).unwrap().render(false);
        assert!(problems.contains("server") && problems.contains("netlab.yaml:1:1"), "{problems}");
    }
}

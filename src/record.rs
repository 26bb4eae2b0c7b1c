//! The record of a run: everything done and seen, complete enough to judge it again and to draw it without a
//! lab.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Error, Result,
    error::Context,
    exercise::{
        self, Origin, Roles, Template,
        model::{Action, Exercise},
    },
    own,
    runtime::RuntimeKind,
    timeline::Timeline,
    topology::Plan,
};

/// The format version that this netlab writes. Files of another version are refused.
const VERSION: u32 = 1;

/// The name of the record's file in a run's folder: gzip-compressed JSON.
pub const FILE: &str = "record.json.gz";

/// Maximum size of an uncompressed record, in bytes; a run is limited to less.
const MOST_READ: u64 = 512 << 20;

/// A recorded run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Version of the file format.
    version: u32,
    /// The exercise, with every placeholder filled in.
    #[serde(deserialize_with = "exercise")]
    pub exercise: Exercise,
    /// The lab it ran on.
    pub plan: Plan,
    /// The lab's runtime.
    pub runtime: RuntimeKind,
    /// Which host had which role.
    #[serde(alias = "cast")]
    pub roles: Roles,
    /// The exercise's ports, by name.
    pub ports: IndexMap<String, u16>,
    /// The folder of the assignment's sources on the server's host, if the exercise needs it.
    pub workspace: Option<String>,
    /// The user's own programs, by the exercise's names for them.
    pub programs: IndexMap<String, String>,
    /// The program under judgement.
    pub judged: Option<String>,
    /// Whose run it is.
    #[serde(default)]
    pub origin: Origin,
    /// Everything done and seen, in order.
    pub timeline: Timeline,
    /// How it ended.
    pub ending: Ending,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What kept a run from being complete, if anything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ending {
    /// Why nothing is known after some moment.
    pub broken: Option<String>,
    /// Whether that is because a program under judgement ended.
    pub by_program: bool,
    /// How somebody else disturbed the run.
    pub disturbed: Option<String>,
    /// The resource that a program under judgement exhausted.
    pub excess: Option<String>,
}

impl Record {
    /// Creates the record of a run that begins.
    pub fn new(exercise: Exercise, plan: Plan, runtime: RuntimeKind, roles: Roles) -> Self {
        Self {
            version: VERSION,
            exercise,
            plan,
            runtime,
            roles,
            ports: IndexMap::new(),
            workspace: None,
            programs: IndexMap::new(),
            judged: None,
            origin: Origin::default(),
            timeline: Timeline::default(),
            ending: Ending::default(),
            elapsed_ms: 0,
        }
    }

    /// Returns the exercise as written now, bound as in the run; as in the run if its id no longer exists.
    /// `folder` holds exercises that replace the compiled-in ones.
    pub fn exercise_now(&self, folder: Option<&Path>) -> Result<Exercise> {
        let all = exercise::all(folder)?;
        let Some(template) = all.iter().find(|template| template.exercise.id == self.exercise.id) else {
            return Ok(self.exercise.clone());
        };
        self.bind(template)
    }

    /// Binds an exercise as in the run.
    pub fn bind(&self, template: &Template) -> Result<Exercise> {
        let Self { roles, ports, workspace, programs, judged, .. } = self;
        exercise::bind(template, roles, ports, workspace.as_deref(), programs, judged.as_deref())
    }

    /// Serialises it to the bytes of a file.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut packer, self).or_lab(|| "cannot serialise the record")?;
        packer.flush().and_then(|()| packer.finish()).or_lab(|| "cannot compress the record")
    }

    /// Reads a run's record, given its folder or the file itself.
    pub fn read(path: &Path) -> Result<Self> {
        let file = file_of(path);
        let hint = format!("a run's folder holds {FILE}; `netlab exercise` and `netlab check` write one");
        let wrong = |error: Error| error.hint(hint.clone());
        let bytes = own::read_anybodys(&file, MOST_READ)
            .or_usage(|| format!("cannot read {}", file.display()))
            .map_err(wrong)?;
        let what = || format!("{} is not a run's record", file.display());
        let text = unpack(&bytes).or_usage(what).map_err(wrong)?;
        let Version { version } = serde_json::from_slice(&text).or_usage(what).map_err(wrong)?;
        if version != VERSION {
            let message =
                format!("{} is a record of version {version}; this netlab reads {VERSION}", file.display());
            return Err(Error::usage(message).hint("run the exercise again"));
        }
        serde_json::from_slice(&text).or_usage(what).map_err(wrong)
    }
}

/// Returns the path of a run's record, given its folder or the file itself.
fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE) } else { path.to_owned() }
}

/// A step as stored in a record. Older versions of netlab wrote every key a step may have, including unused
/// ones; those are ignored, since the timeline says what was done.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Action(Box<Action>),
    Earlier {
        #[expect(dead_code, reason = "it distinguishes them")]
        within_ms: u64,
    },
}

fn exercise<'de, D: Deserializer<'de>>(from: D) -> Result<Exercise, D::Error> {
    let mut kept = Exercise::<String, Kept>::deserialize(from)?;
    let steps = std::mem::take(&mut kept.steps).into_iter().filter_map(|step| match step {
        Kept::Action(action) => Some(*action),
        Kept::Earlier { .. } => None,
    });
    Ok(kept.with_steps(steps.collect()))
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = GzDecoder::new(bytes).take(MOST_READ + 1).read_to_end(&mut text)? as u64;
    if read > MOST_READ { Err(io::Error::other("it is too long")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn steps_of_an_earlier_netlab_are_passed_over_and_broken_ones_are_not() {
        let steps = |json: &str| {
            let exercise = format!(
                r#"{{"id": "x", "title": "x", "asks": "x", "ports": {{}}, "checks": [], "steps": [{json}]}}"#
            );
            super::exercise(&mut serde_json::Deserializer::from_str(&exercise)).map(|bound| bound.steps.len())
        };
        let earlier = r#"{"about": null, "say": "hello", "start": null, "steps": [], "within_ms": 5000}"#;
        assert_eq!(steps(earlier).unwrap(), 0);
        assert_eq!(steps(r#"{"say": "hello"}, {"link": {"host": "server", "state": "up"}}"#).unwrap(), 2);
        assert!(steps(r#"{"link": {"host": "server"}}"#).is_err());
    }
}

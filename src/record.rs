//! The record of a run: all that was done and seen, complete enough to judge it again and to draw it, without a lab.

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

/// What this netlab writes. A file of another version is refused.
const VERSION: u32 = 1;

/// The file that holds it in a run's folder: JSON, packed by gzip.
pub const FILE: &str = "record.json.gz";

/// A record has at most so many bytes, unpacked; a run is bounded to less.
const MOST_READ: u64 = 512 << 20;

/// A run as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Of the file's form.
    version: u32,
    /// What was run, with every placeholder filled in.
    #[serde(deserialize_with = "exercise")]
    pub exercise: Exercise,
    /// The lab it ran on.
    pub plan: Plan,
    /// What that lab was made of.
    pub runtime: RuntimeKind,
    /// Which host played which part.
    #[serde(alias = "cast")]
    pub roles: Roles,
    /// The exercise's ports, by name.
    pub ports: IndexMap<String, u16>,
    /// The folder of the assignment's sources on the server's host, where the exercise needs it.
    pub workspace: Option<String>,
    /// The user's own programs, by the exercise's names for them.
    pub programs: IndexMap<String, String>,
    /// The one of them that was judged.
    pub judged: Option<String>,
    /// Whose run it is.
    #[serde(default)]
    pub origin: Origin,
    /// Everything that was done and seen, in one order.
    pub timeline: Timeline,
    /// How it ended.
    pub ending: Ending,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What kept a run from being whole, if anything did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ending {
    /// Why nothing after some moment can be told.
    pub broken: Option<String>,
    /// Whether that is so because a program under examination has ended.
    pub by_program: bool,
    /// What somebody else did to the run.
    pub disturbed: Option<String>,
    /// What a program under examination has taken all of.
    pub excess: Option<String>,
}

impl Record {
    /// A record of a run that begins.
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

    /// The exercise as it is written now, bound as it was then; as it was then if there is none of its id any more.
    /// `folder` holds exercises that take the place of compiled-in ones.
    pub fn exercise_now(&self, folder: Option<&Path>) -> Result<Exercise> {
        let all = exercise::all(folder)?;
        let Some(template) = all.iter().find(|template| template.exercise.id == self.exercise.id) else {
            return Ok(self.exercise.clone());
        };
        self.bind(template)
    }

    /// An exercise as written, bound as the run's was.
    pub fn bind(&self, template: &Template) -> Result<Exercise> {
        let Self { roles, ports, workspace, programs, judged, .. } = self;
        exercise::bind(template, roles, ports, workspace.as_deref(), programs, judged.as_deref())
    }

    /// As the bytes of a file.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut packer, self).or_lab(|| "cannot put the record in words")?;
        packer.flush().and_then(|()| packer.finish()).or_lab(|| "cannot pack the record")
    }

    /// Reads a run's record, from its folder or from the file itself.
    pub fn read(path: &Path) -> Result<Self> {
        let file = file_of(path);
        let hint = format!("a run's folder holds {FILE}; `netlab exercise` and `netlab check` make one");
        let wrong = |error: Error| error.hint(hint.clone());
        let bytes = own::read_anybodys(&file, MOST_READ)
            .or_usage(|| format!("cannot read {}", file.display()))
            .map_err(wrong)?;
        let what = || format!("{} is not the record of a run", file.display());
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

/// Where a run's record is: in its folder, or this very file.
fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE) } else { path.to_owned() }
}

/// A step as a record keeps it. Those of an earlier netlab had every key that a file may have, also those that it did not
/// use; they are passed over, for what was done is in the timeline.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Action(Box<Action>),
    Earlier {
        #[expect(dead_code, reason = "it tells them apart")]
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

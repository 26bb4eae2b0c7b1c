//! `netlab capture start`, `stop` and `list`: recordings in the background.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::Result;
use netlab::{
    Error,
    capture::{Recording, recordings},
    error::Context,
    printable::visible,
    runtime::RuntimeKind,
};
use serde_json::json;

use crate::{
    commands::lab::{LabArgs, block_on},
    ui,
};

/// The line a recorder prints once it records.
pub const RECORDING: &str = "recording";

/// Start recording a lab's packets to a file, until `netlab capture stop` or the end of the lab.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// The file's name in the folder [default: the lab's name and the time].
    name: Option<String>,
    #[command(flatten)]
    folder: Folder,
    /// Print JSON: {"capture"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
}

/// Stop recording, and report whether a recording lost packets or ended early.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// The recording's file name [default: every recording in the folder].
    name: Option<String>,
    #[command(flatten)]
    folder: Folder,
    /// Print JSON: {"stopped":[files],"dropped","ended_early":[files]}.
    #[arg(long)]
    json: bool,
}

/// List the captures, newest first, and show which are still being recorded.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    folder: Folder,
    /// Print JSON: an array of {"capture","bytes","modified","recording","dropped","ended_early"}.
    #[arg(long)]
    json: bool,
}

/// The folder of captures.
#[derive(Debug, clap::Args)]
pub struct Folder {
    /// The folder with the captures.
    #[arg(long = "captures", value_name = "DIR", default_value = "captures")]
    pub path: PathBuf,
}

impl StartArgs {
    pub fn run(self) -> Result<ExitCode> {
        let time = || jiff::Zoned::now().strftime("%Y-%m-%dT%H-%M-%S").to_string();
        let name = self.name.clone().unwrap_or_else(|| format!("{}-{}", self.lab.lab, time()));
        let file = self.folder.path.join(with_extension(&name));
        let file = std::path::absolute(&file).or_usage(|| file.display())?;
        // A missing lab or a wrong name is reported here, in the same words as everywhere.
        let runtime = block_on(async { Ok(self.lab.open().await?.0.kind()) })?;
        self.spawn(&file, runtime)?;
        if self.json {
            println!("{}", json!({ "capture": file.to_string_lossy() }));
        } else {
            println!("recording to {}\n`netlab capture stop` ends it", visible(&file.to_string_lossy()));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Starts another process of this program as the recorder, and waits until it records.
    fn spawn(&self, file: &Path, runtime: RuntimeKind) -> Result<()> {
        let program = std::env::current_exe().or_lab(|| "cannot find the netlab program itself")?;
        let mut recorder = Command::new(program)
            .args(["capture", "follow", "--announce", "--lab", &self.lab.lab, "--write"])
            .arg(file)
            .env("NETLAB_RUNTIME", runtime.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of reach of this terminal's ^C.
            .process_group(0)
            .spawn()
            .or_lab(|| "cannot start the recorder")?;
        let mut word = String::new();
        if let Some(stdout) = recorder.stdout.take() {
            BufReader::new(stdout).read_line(&mut word).or_lab(|| "cannot read from the recorder")?;
        }
        if word.trim_end() == RECORDING {
            return Ok(());
        }
        let mut why = String::new();
        if let Some(mut stderr) = recorder.stderr.take() {
            stderr.read_to_string(&mut why).or_lab(|| "cannot read from the recorder")?;
        }
        let why = why.trim_start_matches("error: ").lines().next().unwrap_or("it ended").to_owned();
        Err(Error::lab(format!("cannot record to {}: {why}", file.display())).into())
    }
}

impl StopArgs {
    pub fn run(self) -> Result<ExitCode> {
        let running: Vec<Recording> = self.named()?.into_iter().filter(|r| r.writer.is_some()).collect();
        block_on(async {
            for recording in &running {
                recordings::stop(recording).await?;
            }
            Ok(())
        })?;
        // Read again: a recording may have failed at its last packet.
        let all = self.named()?;
        let (early, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|r| r.ended_early.is_some());
        let stopped: Vec<_> =
            others.into_iter().filter(|r| running.iter().any(|stopped| stopped.path == r.path)).collect();
        if stopped.is_empty() && early.is_empty() && self.name.is_some() {
            return Err(self.nothing_records());
        }
        self.tell(&stopped, &early);
        early.iter().try_for_each(|r| recordings::acknowledge(&r.path))?;
        ended_early(&early)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the captures that the arguments name.
    fn named(&self) -> Result<Vec<Recording>> {
        let mut all = recordings::list(&self.folder.path)?;
        if let Some(name) = &self.name {
            let wanted = with_extension(name);
            all.retain(|r| r.path.file_name() == Path::new(&wanted).file_name());
        }
        Ok(all)
    }

    fn nothing_records(&self) -> anyhow::Error {
        let wanted = with_extension(self.name.as_deref().unwrap_or_default());
        let hint = if self.folder.path.join(&wanted).exists() {
            "its recording has already ended, with its lab or by another `netlab capture stop`"
        } else {
            "`netlab capture list` shows the recordings"
        };
        Error::usage(format!("nothing is recording to {wanted} in {}", self.folder.path.display()))
            .hint(hint)
            .into()
    }

    fn tell(&self, stopped: &[Recording], early: &[Recording]) {
        if self.json {
            let files = |all: &[Recording]| all.iter().map(|r| r.path.to_string_lossy().into()).collect();
            let (files, early): (Vec<String>, Vec<String>) = (files(stopped), files(early));
            let dropped: u64 = stopped.iter().filter_map(lost).sum();
            println!("{}", json!({ "stopped": files, "dropped": dropped, "ended_early": early }));
            return;
        }
        if stopped.is_empty() && early.is_empty() {
            println!("nothing was being recorded in {}", self.folder.path.display());
        }
        for recording in stopped {
            let path = visible(&recording.path.to_string_lossy());
            let dropped = super::dropped(lost(recording).unwrap_or(0));
            println!("stopped: {path}{dropped}\n`netlab capture show {path}` shows it");
        }
    }
}

/// Returns how many packets are missing from a capture, by its own statistics.
fn lost(recording: &Recording) -> Option<u64> {
    recording.ending.as_ref().map(|ending| ending.counts.dropped)
}

/// Fails if any recording ended before it was stopped.
fn ended_early(early: &[Recording]) -> Result<()> {
    let failures = early.iter().filter_map(|r| {
        let why = r.ended_early.as_ref()?;
        Some(format!("the recording to {} ended early: {why}", r.path.display()))
    });
    match failures.collect::<Vec<_>>() {
        failures if failures.is_empty() => Ok(()),
        failures => {
            Err(Error::lab(failures.join("; ")).hint("what was recorded until then can be read").into())
        }
    }
}

impl ListArgs {
    pub fn run(self) -> Result<ExitCode> {
        let all = recordings::list(&self.folder.path)?;
        let time = |r: &Recording| jiff::Timestamp::try_from(r.modified).unwrap_or_default();
        if self.json {
            let rows = all.iter().map(|r| {
                json!({
                    "capture": r.path.to_string_lossy(),
                    "bytes": r.size,
                    "modified": time(r).to_string(),
                    "recording": r.writer.is_some(),
                    "dropped": lost(r),
                    "ended_early": r.ended_early,
                })
            });
            println!("{}", json!(rows.collect::<Vec<_>>()));
        } else if all.is_empty() {
            println!("no captures in {}", self.folder.path.display());
        } else {
            let zone = jiff::tz::TimeZone::system();
            let rows = all.iter().map(|r| {
                let when = time(r).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
                [r.path.display().to_string(), r.size.to_string(), when, state(r)]
            });
            print!("{}", ui::table(["capture", "bytes", "modified", ""], rows));
        }
        let early: Vec<_> = all.into_iter().filter(|r| r.ended_early.is_some()).collect();
        ended_early(&early)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Describes the state of a capture in a few words.
fn state(recording: &Recording) -> String {
    if let Some(pid) = recording.writer {
        return format!("recording (pid {pid})");
    }
    let early = recording.ended_early.as_ref().map(|_| "ended early".to_owned());
    let dropped = lost(recording).filter(|n| *n > 0).map(|n| format!("{n} packets dropped"));
    [early, dropped].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn with_extension(name: &str) -> String {
    if name.ends_with(".pcapng") { name.to_owned() } else { format!("{name}.pcapng") }
}

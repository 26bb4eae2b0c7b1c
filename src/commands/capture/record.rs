//! `netlab capture start`, `stop` and `list`: recordings that go on by themselves.

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

/// What a recorder prints once it records.
pub const RECORDING: &str = "recording";

/// Start to record a lab's packets to a file, until `netlab capture stop` or the lab's end.
#[derive(Debug, clap::Args)]
pub struct StartArgs {
    /// The file's name in the folder; without it, the lab's name and the time.
    name: Option<String>,
    #[command(flatten)]
    folder: Folder,
    /// Print JSON: {"capture"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabArgs,
}

/// Stop recording.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Which recording, by its file's name; without it, every one in the folder.
    name: Option<String>,
    #[command(flatten)]
    folder: Folder,
    /// Print JSON: {"stopped":[files]}.
    #[arg(long)]
    json: bool,
}

/// List the captures, the newest first, and say which are being recorded.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    folder: Folder,
    /// Print JSON: an array of {"capture","bytes","modified","recording"}.
    #[arg(long)]
    json: bool,
}

/// Where captures are.
#[derive(Debug, clap::Args)]
pub struct Folder {
    /// The folder that captures are in.
    #[arg(long = "captures", value_name = "DIR", default_value = "captures")]
    pub path: PathBuf,
}

impl StartArgs {
    pub fn run(self) -> Result<ExitCode> {
        let time = || jiff::Zoned::now().strftime("%Y-%m-%dT%H-%M-%S").to_string();
        let name = self.name.clone().unwrap_or_else(|| format!("{}-{}", self.lab.lab, time()));
        let file = self.folder.path.join(with_extension(&name));
        let file = std::path::absolute(&file).or_usage(|| file.display())?;
        // A missing lab or a wrong name is told here, by the same words as everywhere.
        let runtime = block_on(async { Ok(self.lab.open().await?.0.kind()) })?;
        self.spawn(&file, runtime)?;
        if self.json {
            println!("{}", json!({ "capture": file.to_string_lossy() }));
        } else {
            println!("recording to {}\n`netlab capture stop` ends it", visible(&file.to_string_lossy()));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Starts this program anew as the recorder, and waits until it records.
    fn spawn(&self, file: &Path, runtime: RuntimeKind) -> Result<()> {
        let program = std::env::current_exe().or_lab(|| "cannot find my own program")?;
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
            BufReader::new(stdout).read_line(&mut word).or_lab(|| "the recorder cannot be heard")?;
        }
        if word.trim_end() == RECORDING {
            return Ok(());
        }
        let mut why = String::new();
        if let Some(mut stderr) = recorder.stderr.take() {
            stderr.read_to_string(&mut why).or_lab(|| "the recorder cannot be heard")?;
        }
        let why = why.trim_start_matches("error: ").lines().next().unwrap_or("it ended").to_owned();
        Err(Error::lab(format!("cannot record to {}: {why}", file.display())).into())
    }
}

impl StopArgs {
    pub fn run(self) -> Result<ExitCode> {
        let mut running: Vec<Recording> =
            recordings::list(&self.folder.path)?.into_iter().filter(|r| r.writer.is_some()).collect();
        if let Some(name) = &self.name {
            let wanted = with_extension(name);
            running.retain(|r| r.path.file_name() == Path::new(&wanted).file_name());
            if running.is_empty() {
                let error =
                    Error::usage(format!("nothing records to {wanted} in {}", self.folder.path.display()));
                let hint = if self.folder.path.join(&wanted).exists() {
                    "its recorder has ended by itself: the lab went down, or there was no room left for it"
                } else {
                    "`netlab capture list` shows what does"
                };
                return Err(error.hint(hint).into());
            }
        }
        block_on(async {
            for recording in &running {
                recordings::stop(recording).await?;
            }
            Ok(())
        })?;
        if self.json {
            println!(
                "{}",
                json!({ "stopped": running.iter().map(|r| r.path.to_string_lossy()).collect::<Vec<_>>() })
            );
        } else if running.is_empty() {
            println!("nothing was being recorded in {}", self.folder.path.display());
        }
        for Recording { path, .. } in running.iter().filter(|_| !self.json) {
            let path = visible(&path.to_string_lossy());
            println!("stopped: {path}\n`netlab capture show {path}` shows it");
        }
        Ok(ExitCode::SUCCESS)
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
                })
            });
            println!("{}", json!(rows.collect::<Vec<_>>()));
        } else if all.is_empty() {
            println!("no captures in {}", self.folder.path.display());
        } else {
            let zone = jiff::tz::TimeZone::system();
            let rows = all.iter().map(|r| {
                let when = time(r).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
                let now = r.writer.map_or(String::new(), |pid| format!("recording (pid {pid})"));
                [r.path.display().to_string(), r.size.to_string(), when, now]
            });
            print!("{}", ui::table(["capture", "bytes", "modified", ""], rows));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn with_extension(name: &str) -> String {
    if name.ends_with(".pcapng") { name.to_owned() } else { format!("{name}.pcapng") }
}

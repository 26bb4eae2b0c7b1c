//! `netlab submit`: packs a workspace for handing in.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use netlab::{
    Error,
    class::submission::{self, Packed},
    error::Context,
    printable::visible,
    workspace::MANIFEST,
};

use crate::ui;

/// Pack a workspace into one archive for handing in.
///
/// The archive holds your sources with their SHA-256 hashes, and the evidence and capture of your latest
/// run. It holds no build products: your programs are built again for grading.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workspace folder.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The archive [default: the workspace's name plus .tar.gz, in the current folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON: {"archive","bytes","sha256","sources":{NAME: SHA-256},"run"}.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let folder =
            self.folder.canonicalize().or_usage(|| format!("cannot read {}", self.folder.display()))?;
        if !folder.join(MANIFEST).exists() {
            let error =
                Error::usage(format!("{} is not a workspace: it has no {MANIFEST}", folder.display()));
            return Err(error.hint("`netlab init DIR` creates one").into());
        }
        let archive = self.output.unwrap_or_else(|| named_after(&folder));
        let packed = submission::pack(&folder, &archive)?;
        let text = if self.json { serde_json::to_string(&packed)? + "\n" } else { in_words(&packed) };
        ui::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn named_after(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or("workspace".as_ref());
    PathBuf::from(name.to_string_lossy().into_owned() + ".tar.gz")
}

fn in_words(packed: &Packed) -> String {
    let mut text = String::new();
    for name in packed.sources.keys() {
        text += &format!("  {}\n", visible(name));
    }
    match &packed.run {
        Some(run) => text += &format!("  and the evidence of {}\n", visible(&run.to_string_lossy())),
        None => text += "  no evidence of a run: there is none in captures/\n",
    }
    text + &format!(
        "{}: {} files, {} KiB, sha256 {}\n",
        visible(&packed.archive.to_string_lossy()),
        packed.sources.len(),
        packed.bytes.div_ceil(1024),
        packed.sha256
    )
}

//! Packs a workspace: its sources, a list of their hashes, and the latest run.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::Serialize;

use super::{Bounds, MANIFEST, Manifest, OWN, RUN, walk};
use crate::{
    Error, Result,
    digest::sha256,
    error::{Context, FileContext},
    own, run,
};

/// A run's capture longer than this, in bytes, is left out.
const LONGEST_CAPTURE: u64 = 16 << 20;

/// What was packed.
#[derive(Clone, Debug, Serialize)]
pub struct Packed {
    /// The archive.
    #[serde(serialize_with = "crate::paths::as_text")]
    pub archive: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// The archive's own SHA-256, to compare with what arrived.
    pub sha256: String,
    /// The sources' hashes by name.
    pub sources: BTreeMap<String, String>,
    /// The run whose evidence was packed.
    #[serde(serialize_with = "crate::paths::as_text_if_any")]
    pub run: Option<PathBuf>,
}

/// Packs the workspace `folder` into a `.tar.gz` at `archive`, replacing an existing file.
pub fn pack(folder: &Path, archive: &Path) -> Result<Packed> {
    let what = || format!("cannot write {}", archive.display());
    let made = Timestamp::now();
    let mut files = Vec::new();
    for found in walk::sources(folder, Bounds::SUBMISSION)? {
        let name = in_archive(&found.name)?;
        let bytes = found.read().or_usage(|| format!("cannot read {}", found.path.display()))?;
        files.push((name, bytes, found.executable));
    }
    if files.is_empty() {
        return Err(Error::usage(format!("{} holds no sources", folder.display())));
    }
    let sources = hashes(&files);
    let run = run::newest(&folder.join("captures")).ok();
    files.extend(run.as_deref().map(evidence).transpose()?.unwrap_or_default());
    let manifest = Manifest { netlab: env!("CARGO_PKG_VERSION").into(), made, files: hashes(&files) };
    let text = serde_json::to_vec_pretty(&manifest).or_lab(|| "cannot serialize the manifest")?;
    files.push((format!("{OWN}/{MANIFEST}"), text, false));

    let bytes = packed(&files, made).or_lab(what)?;
    own::write_whole(archive, &bytes).or_file(what)?;
    Ok(Packed {
        archive: archive.to_owned(),
        bytes: bytes.len() as u64,
        sha256: sha256(&bytes),
        sources,
        run,
    })
}

type Files = Vec<(String, Vec<u8>, bool)>;

fn hashes(files: &Files) -> BTreeMap<String, String> {
    files.iter().map(|(name, bytes, _)| (name.clone(), sha256(bytes))).collect()
}

/// Returns the name in the form used in archives.
fn in_archive(name: &Path) -> Result<String> {
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("the name {} is not UTF-8", name.display())).hint("rename the file")
    })
}

/// Returns the run's evidence, and its capture unless that is too long.
fn evidence(run: &Path) -> Result<Files> {
    let mut files = Files::new();
    for name in ["evidence.json", "capture.pcapng"] {
        let path = run.join(name);
        match own::read_anybodys(&path, LONGEST_CAPTURE) {
            Ok(bytes) => files.push((format!("{OWN}/{RUN}/{name}"), bytes, false)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => {}
            Err(e) => return Err(e).or_usage(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(files)
}

fn packed(files: &Files, made: Timestamp) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes, executable) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if *executable { 0o755 } else { 0o644 });
        header.set_mtime(u64::try_from(made.as_second()).unwrap_or(0));
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()?.finish()
}

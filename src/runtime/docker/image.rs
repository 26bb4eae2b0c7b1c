//! The hosts' image: built on first use and tagged with a hash of everything that goes into it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use bollard::{
    Docker,
    query_parameters::{BuildImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions},
};
use bytes::Bytes;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::base;
use crate::{
    Error, Result,
    digest::hex,
    error::Context,
    programs,
    runtime::{Progress, Step, docker::errors::EngineContext, namespaces},
};

const DOCKERFILE: &str = include_str!("../../../images/host/Dockerfile");

/// The repository name of netlab's images.
const REPOSITORY: &str = "netlab/host";
/// Number of images kept.
const KEPT: usize = 4;

/// The image for a set of programs: its tag and its contents.
pub struct Image {
    /// The tag, e.g. `netlab/host:0123456789ab`.
    pub tag: String,
    programs: Vec<(&'static str, PathBuf)>,
}

impl Image {
    /// Returns the image with the programs in `folder`.
    pub fn of(folder: &Path) -> Result<Self> {
        let programs: Vec<_> = in_image().map(|name| (name, folder.join(name))).collect();
        let mut hash = Sha256::new();
        hash.update(DOCKERFILE);
        for (name, path) in &programs {
            let what = || format!("cannot read {}", path.display());
            let mut file = File::open(path).or_lab(what).map_err(|e| e.hint("`make build` builds it"))?;
            hash.update(name);
            let mut buffer = vec![0; 1 << 20];
            loop {
                let n = file.read(&mut buffer).or_lab(what)?;
                if n == 0 {
                    break;
                }
                hash.update(&buffer[..n]);
            }
        }
        Ok(Self { tag: format!("{REPOSITORY}:{}", &hex(&hash.finalize())[..12]), programs })
    }

    /// Builds the image unless the engine has it.
    pub async fn ensure(&self, engine: &Docker, progress: Progress<'_>) -> Result<()> {
        if self.is_there(engine).await? {
            return Ok(());
        }
        progress(Step { what: "waiting for another netlab to build the image".into(), ..Step::default() });
        // Held until the image is built, so that only one of several labs started together builds it.
        let _turn = crate::aside(turn).await.or_lab(|| "cannot wait")??;
        if self.is_there(engine).await? {
            return Ok(());
        }
        let base = base::ensure(engine, progress).await?;
        self.build(engine, &base, progress).await?;
        remove_old(engine).await;
        Ok(())
    }

    /// Returns whether the engine has the image.
    pub async fn is_there(&self, engine: &Docker) -> Result<bool> {
        let image = engine.inspect_image(&self.tag).await;
        Ok(image.or_missing(|| format!("cannot look for the image {}", self.tag))?.is_some())
    }

    async fn build(&self, engine: &Docker, base: &str, progress: Progress<'_>) -> Result<()> {
        let what = || format!("cannot build the image {}", self.tag);
        let report = |line: &str, done, total| {
            progress(Step {
                what: format!("building the hosts' image: {line}"),
                done,
                total,
                ..Step::default()
            });
        };
        report("packing the programs", 0, None);
        let programs = self.programs.clone();
        let context = crate::aside(move || pack(&programs)).await.or_lab(what)?.or_lab(what)?;
        let options = BuildImageOptionsBuilder::default()
            .t(&self.tag)
            .rm(true)
            .forcerm(true)
            .buildargs(&HashMap::from([("BASE", base)]))
            .build();
        let mut lines = engine.build_image(options, None, Some(bollard::body_full(Bytes::from(context))));
        let mut last = Vec::new();
        while let Some(line) = lines.next().await {
            let said = match line {
                Ok(info) => info.stream.unwrap_or_default(),
                Err(refusal) => {
                    let log: String = last.concat();
                    return Err(refusal)
                        .or_engine(what)
                        .map_err(|e| e.hint(format!("the last lines were:\n{log}")));
                }
            };
            if let Some((done, total)) = steps(&said) {
                report(said.trim().split_once(" : ").map_or("", |(_, what)| what), done, Some(total));
            }
            last.push(said);
            let surplus = last.len().saturating_sub(20);
            last.drain(..surplus);
        }
        Ok(())
    }
}

/// Removes netlab's images of older programs except the newest few and those in use: another version of
/// netlab may be about to use its own. Images that cannot be removed stay.
async fn remove_old(engine: &Docker) {
    let filter = HashMap::from([("reference", vec![REPOSITORY])]);
    let options = ListImagesOptionsBuilder::default().filters(&filter).build();
    let mut images = engine.list_images(Some(options)).await.unwrap_or_default();
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    for tag in images.iter().skip(KEPT).flat_map(|image| &image.repo_tags) {
        let _ = engine.remove_image(tag, None::<RemoveImageOptions>, None).await;
    }
}

/// Parses a build's progress: `Step 2/7 : …` means that one of seven steps is done.
fn steps(line: &str) -> Option<(u64, u64)> {
    let (done, total) = line.strip_prefix("Step ")?.split_once(" : ")?.0.split_once('/')?;
    Some((done.parse::<u64>().ok()? - 1, total.parse().ok()?))
}

/// Packs the build context into a tar archive.
fn pack(programs: &[(&str, PathBuf)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, mode, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        // The modification time stays zero: the engine's cache compares contents.
        archive.append_data(&mut header, name, bytes)
    };
    add("Dockerfile", 0o644, DOCKERFILE.as_bytes())?;
    for (name, path) in programs {
        add(&format!("programs/{name}"), 0o755, &fs::read(path)?)?;
    }
    archive.into_inner()
}

/// Locks this user's right to build. The lock is in a folder of the user's own: in a shared one, anybody
/// could hold it for ever.
fn turn() -> Result<File> {
    let file = namespaces::own_file("image.lock")?;
    file.lock().or_lab(|| "cannot wait for another build of the hosts' image")?;
    Ok(file)
}

/// Returns the folder that netlab's programs are in.
pub fn programs() -> Result<PathBuf> {
    let this = fs::read_link("/proc/self/exe").or_lab(|| "cannot find netlab's own program")?;
    this.parent().map(Path::to_owned).ok_or_else(|| Error::lab("netlab's own program has no folder"))
}

/// The programs in the image: those that run on hosts, and `netlab` itself, which observes them.
fn in_image() -> impl Iterator<Item = &'static str> {
    programs::on_hosts().chain([programs::NETLAB])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in in_image() {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    #[test]
    fn the_tag_is_the_contents() {
        let folder = folder();
        let tag = Image::of(folder.path()).unwrap().tag;
        assert_eq!(Image::of(folder.path()).unwrap().tag, tag);
        fs::write(folder.path().join("tcpecho"), "other").unwrap();
        assert_ne!(Image::of(folder.path()).unwrap().tag, tag);
        fs::remove_file(folder.path().join("tcpecho")).unwrap();
        let error = Image::of(folder.path()).err().unwrap();
        assert!(error.to_string().ends_with("/tcpecho"), "{error}");
    }

    #[test]
    fn the_context_has_every_program_and_is_the_same_each_time() {
        let folder = folder();
        let image = Image::of(folder.path()).unwrap();
        let packed = pack(&image.programs).unwrap();
        let mut archive = tar::Archive::new(packed.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names.len(), in_image().count() + 1);
        assert!(names.contains(&"programs/lab-init".to_owned()));
        assert_eq!(packed, pack(&image.programs).unwrap());
    }

    #[test]
    fn a_builds_steps_are_counted() {
        assert_eq!(steps("Step 2/7 : RUN apt-get update"), Some((1, 7)));
        assert_eq!(steps(" ---> Using cache"), None);
    }
}

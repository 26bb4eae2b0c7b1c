//! Copies of the machine's folders that hosts share and may change: volumes in memory, of limited size, which
//! carry the lab's label and are removed with it.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use bollard::{
    Docker as Engine, body_full,
    models::{MountVolumeOptions, MountVolumeOptionsDriverConfig, VolumeCreateRequest},
    query_parameters::UploadToContainerOptionsBuilder,
};
use futures_util::future::try_join_all;

use super::{names, turn::Turn};
use crate::{
    Result, error::Context, privileges::STUDENT_ID, runtime::docker::errors::EngineContext, topology::Plan,
};

/// The engine's volume driver that supports tmpfs.
const DRIVER: &str = "local";

/// Lists each folder that the plan's hosts have copies of once, with its size and the host and target of its
/// first mount.
fn all(plan: &Plan) -> Vec<(&PathBuf, u64, &str, &PathBuf)> {
    let mut all: Vec<(&PathBuf, u64, &str, &PathBuf)> = Vec::new();
    for host in &plan.hosts {
        for mount in &host.mounts {
            if let Some(bytes) = mount.copy
                && all.iter().all(|(source, ..)| *source != &mount.source)
            {
                all.push((&mount.source, bytes, &host.name, &mount.target));
            }
        }
    }
    all
}

/// Returns the name of the volume that holds the copy of a folder.
pub fn volume(plan: &Plan, source: &Path) -> String {
    let n = all(plan).iter().position(|(known, ..)| *known == source).unwrap_or_default();
    names::copy(&plan.lab, n)
}

/// Volume options for a tmpfs of at most this many bytes.
fn in_memory(bytes: u64) -> HashMap<String, String> {
    let options = format!(
        "size={bytes},nr_inodes={},mode=755,uid={STUDENT_ID},gid={STUDENT_ID},nosuid,nodev",
        1024 + bytes / 4096
    );
    let all = [("type", "tmpfs"), ("device", "tmpfs"), ("o", &options)];
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Options with which a host mounts such a volume. If the volume has disappeared by then, e.g. because the
/// lab is being taken down, the engine creates a replacement, which must be limited and labelled in the same
/// way.
pub fn mount_options(plan: &Plan, bytes: u64) -> MountVolumeOptions {
    MountVolumeOptions {
        no_copy: Some(true),
        labels: Some(names::labels(&plan.lab)),
        driver_config: Some(MountVolumeOptionsDriverConfig {
            name: Some(DRIVER.into()),
            options: Some(in_memory(bytes)),
        }),
        ..MountVolumeOptions::default()
    }
}

/// Creates the volumes, empty.
pub async fn make(engine: &Engine, turn: &Turn, plan: &Plan) -> Result<()> {
    let all = all(plan);
    let made = all.iter().map(|(source, bytes, ..)| async move {
        let name = volume(plan, source);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            driver: Some(DRIVER.into()),
            driver_opts: Some(in_memory(*bytes)),
            labels: Some(names::labels(&plan.lab)),
            ..VolumeCreateRequest::default()
        };
        let engine = engine.clone();
        let made = async move { engine.create_volume(request).await };
        let made = turn.ask(&name, made).await?;
        made.or_engine(|| format!("cannot make room for a copy of {}", source.display())).map(drop)
    });
    try_join_all(made).await.map(drop)
}

/// Copies the folders into the volumes of running hosts.
pub async fn fill(engine: &Engine, plan: &Plan) -> Result<()> {
    for (source, _, host, target) in all(plan) {
        let what = || format!("cannot copy {} to {host}", source.display());
        let folder = source.clone();
        let pack = move || pack(&folder);
        let bytes = crate::aside(pack).await.or_lab(what)?.or_lab(what)?;
        let options = UploadToContainerOptionsBuilder::default().path(&target.display().to_string()).build();
        let container = names::host(&plan.lab, host);
        let sent = engine.upload_to_container(&container, Some(options), body_full(bytes.into())).await;
        sent.or_engine(what)?;
    }
    Ok(())
}

/// Packs a folder's files and subfolders into a tar archive, owned by the hosts' student. Other file types
/// are left out.
fn pack(folder: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut folders = vec![PathBuf::new()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inside))? {
            let entry = entry?;
            let (name, about) = (inside.join(entry.file_name()), entry.metadata()?);
            let mut header = tar::Header::new_gnu();
            header.set_metadata(&about);
            header.set_uid(STUDENT_ID.into());
            header.set_gid(STUDENT_ID.into());
            if about.is_dir() {
                archive.append_data(&mut header, &name, io::empty())?;
                folders.push(name);
            } else if about.is_file() {
                archive.append_data(&mut header, &name, fs::File::open(entry.path())?)?;
            }
        }
    }
    archive.into_inner()
}

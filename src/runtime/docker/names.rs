//! Names and labels of a lab's objects on an engine: names are for people, labels for netlab.
//!
//! Only the labels count. A lab is found, listed and taken down by its labels alone, so that an object that
//! merely has a similar name is never touched.

use std::collections::HashMap;

use crate::{runtime::Owner, topology::Plan};

/// On every object of a lab: the lab's name.
pub const LAB: &str = "netlab.lab";
/// On every object of a lab: its owner.
pub const OWNER: &str = "netlab.owner";
/// On a host's container: the host's name. An observer's container has no such label.
pub const HOST: &str = "netlab.host";
/// On a segment's network: the segment's name.
pub const SEGMENT: &str = "netlab.segment";
/// On the first segment's network: the lab's plan, as JSON.
pub const PLAN: &str = "netlab.plan";

/// Returns the name of a host's container. Lab names have no dot, so no two hosts share a name.
pub fn host(lab: &str, host: &str) -> String {
    format!("netlab-{lab}.{host}")
}

/// Returns the name of a segment's network.
pub fn segment(lab: &str, segment: &str) -> String {
    format!("netlab-{lab}.{segment}")
}

/// Returns the name of the volume with the lab's `n`th copy of a folder.
pub fn copy(lab: &str, n: usize) -> String {
    format!("netlab-{lab}_copy{n}")
}

/// Returns the name of the container that observes with this image. A newer netlab needs its own.
pub fn observer(lab: &str, image: &str) -> String {
    let version = image.rsplit(':').next().unwrap_or_default();
    format!("netlab-{lab}_observer_{version}")
}

/// Returns the labels common to all objects of a lab.
pub fn labels(lab: &str) -> HashMap<String, String> {
    HashMap::from([(LAB.into(), lab.into()), (OWNER.into(), Owner::me().to_label())])
}

/// Returns the labels of a host's container.
pub fn host_labels(lab: &str, host: &str) -> HashMap<String, String> {
    let mut labels = labels(lab);
    labels.insert(HOST.into(), host.into());
    labels
}

/// Returns the labels of the plan's `n`th segment's network.
pub fn segment_labels(plan: &Plan, n: usize) -> HashMap<String, String> {
    let mut labels = labels(&plan.lab);
    labels.insert(SEGMENT.into(), plan.segments[n].name.clone());
    if n == 0 {
        labels.insert(PLAN.into(), serde_json::to_string(plan).unwrap_or_default());
    }
    labels
}

/// Returns the filter for all objects of one lab, or of every lab.
pub fn filter(lab: Option<&str>) -> HashMap<String, Vec<String>> {
    let label = lab.map_or_else(|| LAB.to_owned(), |lab| format!("{LAB}={lab}"));
    HashMap::from([("label".to_owned(), vec![label])])
}

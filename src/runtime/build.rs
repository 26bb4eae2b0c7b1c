//! Builds a lab from a topology.

use super::{Progress, Runtime};
use crate::{
    Error, Kind, Result,
    topology::{Plan, Topology},
};

/// How often planning is repeated because another lab took a subnet first: labs started together all choose
/// the first subnet they believe to be free.
const TRIES: usize = 100;

/// Plans a lab and builds it, planning again if one of its subnets is taken in the meantime. See
/// [`Runtime::up`] for what is left after an error.
pub async fn build(
    runtime: &dyn Runtime,
    topology: &Topology,
    lab: &str,
    progress: Progress<'_>,
) -> Result<Plan> {
    let mut taken = runtime.taken_subnets().await?;
    for _ in 0..TRIES {
        let plan = topology.plan(lab, &taken)?;
        match runtime.up(&plan, progress).await {
            // The lab that took it may not be listed yet.
            Err(error) if error.kind == Kind::SubnetTaken => {
                taken.extend(plan.segments.iter().map(|s| s.subnet));
                taken.extend(runtime.taken_subnets().await?);
            }
            other => return other.map(|()| plan),
        }
    }
    Err(Error::lab(format!("every subnet chosen for lab {lab} was taken by another lab"))
        .hint("set `subnet` on its segments, or try again"))
}

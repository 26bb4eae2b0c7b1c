//! From a topology to a lab.

use super::{Progress, Runtime};
use crate::{
    Error, Kind, Result,
    topology::{Plan, Topology},
};

/// How often another lab may take the same subnet at the same moment: of many started together, each takes the first
/// that it believes to be free.
const TRIES: usize = 100;

/// Plans a lab and builds it. Where somebody else took a subnet of the plan meanwhile, it is planned
/// anew. See [`Runtime::up`] for what is left on an error.
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
            // Whoever took it may not be among those that are known to have one yet.
            Err(error) if error.kind == Kind::SubnetTaken => {
                taken.extend(plan.segments.iter().map(|s| s.subnet));
                taken.extend(runtime.taken_subnets().await?);
            }
            other => return other.map(|()| plan),
        }
    }
    Err(Error::lab(format!("every subnet for lab {lab} was taken by somebody else"))
        .hint("give its segments a `subnet` of their own, or try again"))
}

//! When payloads should lie where: the policy, and plans made from it. Pure: knows neither clock, thread nor file.

mod coding;
mod plan;
mod policy;

pub use coding::TierCodec;
pub use plan::{MoveReason, TierMove, TierPlan};
pub(crate) use plan::{PayloadState, plan};
pub(crate) use policy::Wish;
pub use policy::{TierPin, TierPolicy, TierRule};

//! Test support: oracles, crash exploration, workloads, and the bodies of the fuzz targets. Compiled only for tests and
//! with the feature `testing`; no production code calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a broken promise must stop the test

pub mod chunks;
pub mod crash;
pub mod fuzz;
pub mod golden;
pub mod oracle;
pub mod random;

pub use crate::file::fault::{EDQUOT, Fault, FaultKind, FaultPlan, FaultVolume};
pub use crate::file::sim::persistence::{Image, Op, Persistence};
pub use crate::file::sim::{Device, SimDisk, SimProcess};
pub use crate::file::{Medium, OsVolume, Volume};

/// Gives a store on any volume a cold directory.
pub fn set_cold_directory_on(
    volume: std::sync::Arc<dyn Volume>,
    directory: &str,
    control: &crate::Control<'_>,
) -> crate::Result<crate::ColdReport> {
    crate::store::relocate(volume, directory.as_ref(), control)
}

/// Repairs a store on any volume.
pub fn repair_on(
    volume: std::sync::Arc<dyn Volume>,
    options: &crate::RepairOptions,
    control: &crate::Control<'_>,
) -> crate::Result<crate::RepairReport> {
    crate::store::repair_volume(volume, options, control)
}

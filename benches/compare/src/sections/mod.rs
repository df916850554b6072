//! One file per question.

pub mod codec;
pub mod codecs;
pub mod commits;
pub mod files;
pub mod get;
pub mod growth;
pub mod ingest;
pub mod kernels;
pub mod memory;
pub mod million;
pub mod numpy;
pub mod search;
pub mod touch;
pub mod vectors;

use std::path::Path;
use std::time::{Duration, Instant};

/// A directory that is removed afterwards.
pub fn scratch(parent: &Path) -> tempfile::TempDir {
    tempfile::Builder::new().prefix("tensoratom-compare-").tempdir_in(parent).unwrap()
}

/// Time of one call.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = work();
    (started.elapsed(), result)
}

/// The best of several times: what the machine can do when nobody disturbs.
pub fn best_of(times: usize, mut work: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| work()).min().unwrap()
}

/// Gigabytes (10^9) per second.
pub fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

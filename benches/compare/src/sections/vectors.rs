//! Vector sets of clustered data, the same bytes as files for other programs, and the ways to search them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tensoratom::kernels::{Metric, Rows};
use tensoratom::{Companions, Control, Durability, Neighbor, Options, SearchOptions, Store, VectorSnapshot};
use tensoratom_benches::clusters;

use super::{rate, scratch, timed};
use crate::Settings;
use crate::report::Report;

pub const K: usize = 10;
/// Queries that are asked all at once.
pub const QUERIES: usize = 64;
/// Of these, asked one by one.
const SINGLES: usize = 16;
/// Vectors made and added at a time.
const BATCH: usize = 100_000;

/// A set and its queries, in memory, and the same as raw f32 files.
pub struct Filled {
    pub dim: usize,
    pub snapshot: VectorSnapshot,
    pub queries: Vec<f32>,
    pub data_file: PathBuf,
    query_file: PathBuf,
    _directory: tempfile::TempDir,
}

/// What a way to search takes and finds.
pub struct Measured {
    /// Mean time of one query at a time, in milliseconds.
    pub one_ms: f64,
    /// Time of all queries at once, in milliseconds.
    pub all_ms: f64,
    /// Ids per query, nearest first.
    pub ids: Vec<Vec<i64>>,
}

impl Filled {
    pub fn new(settings: &Settings, report: &mut Report, count: usize, dim: usize) -> Self {
        report.section(&format!("exact top-{K} by squared Euclidean distance, {count} x {dim} f32, clustered"));
        let directory = scratch(&settings.memory);
        let options = Options::new().durability(Durability::Process);
        let store = Store::create(directory.path().join("store"), &options).unwrap();
        let set = store.vectors("set", dim, tensoratom::DType::F32, Metric::SqEuclidean).unwrap();
        let set = set.companions(Companions::Never);
        let data = clusters(count, dim, 0, count);
        let (time, ()) = timed(|| {
            for start in (0..count).step_by(BATCH) {
                let end = (start + BATCH).min(count);
                let ids: Vec<i64> = (start as i64..end as i64).collect();
                set.append(&ids, Rows::of(dim, &data[start * dim..end * dim]).unwrap()).unwrap();
            }
        });
        let bytes = (count * dim * 4) as u64;
        report.row("adding vectors", "tensoratom", rate(bytes, time), "GB/s");
        let (time, _) = timed(|| set.build_companions(&Control::new()).unwrap());
        report.row("building companions", "tensoratom", rate(bytes, time), "GB/s");
        let queries = clusters(count, dim, 1, QUERIES);
        let (data_file, query_file) = (directory.path().join("data.f32"), directory.path().join("queries.f32"));
        std::fs::write(&data_file, bytes_of(&data)).unwrap();
        std::fs::write(&query_file, bytes_of(&queries)).unwrap();
        let snapshot = set.snapshot().unwrap();
        Filled { dim, snapshot, queries, data_file, query_file, _directory: directory }
    }

    /// With the set itself; what is found alone and together must be equal.
    pub fn ours(&self, options: &SearchOptions<'_>) -> Measured {
        let (set, dim) = (&self.snapshot, self.dim);
        let all = Rows::of(dim, &self.queries).unwrap();
        let found = set.search(all, K, options).unwrap();
        let one = |(query, expected): (&[f32], &Vec<Neighbor>)| {
            let one = set.search(Rows::one(query).unwrap(), K, options).unwrap();
            assert_eq!(one[0], *expected, "alone and together differ");
        };
        let one_by_one = best(|| self.queries.chunks_exact(dim).zip(&found).take(SINGLES).for_each(one));
        let together = best(|| drop(set.search(all, K, options).unwrap()));
        Measured {
            one_ms: one_by_one / SINGLES as f64,
            all_ms: together,
            ids: found.iter().map(|list| list.iter().map(|near| near.id).collect()).collect(),
        }
    }

    /// With faiss `IndexFlatL2`, if there is one.
    pub fn faiss(&self, settings: &Settings, threads: usize) -> Option<Measured> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/faiss_flat.py");
        let numbers = [self.dim, K, threads].map(|n| n.to_string());
        let files: [&Path; 2] = [&self.data_file, &self.query_file];
        let output = Command::new(&settings.python).arg(script).args(files).args(numbers).output().ok()?;
        let Ok(answer) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            println!("  faiss is not there: pip install faiss-cpu numpy, and give --python");
            return None;
        };
        let list =
            |list: &serde_json::Value| list.as_array().into_iter().flatten().filter_map(|id| id.as_i64()).collect();
        Some(Measured {
            one_ms: answer["one_ms"].as_f64()?,
            all_ms: answer["all_ms"].as_f64()?,
            ids: answer["ids"].as_array()?.iter().map(list).collect(),
        })
    }
}

impl Measured {
    /// Share of the queries for which another found the same ids in the same order, in percent.
    pub fn agreement(&self, other: &Measured) -> f64 {
        let same = self.ids.iter().zip(&other.ids).filter(|(a, b)| a == b).count();
        100.0 * same as f64 / self.ids.len() as f64
    }
}

/// Milliseconds of the best of three rounds.
pub fn best(mut work: impl FnMut()) -> f64 {
    let best: Duration = super::best_of(3, || timed(&mut work).0);
    best.as_secs_f64() * 1e3
}

/// The bytes of numbers.
fn bytes_of(numbers: &[f32]) -> &[u8] {
    // SAFETY: four bytes of each number are readable, and any byte is a valid one.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

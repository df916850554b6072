//! Exact nearest neighbours: with companion, without, and faiss `IndexFlat` on the same bytes with as many threads.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tensoratom::kernels::{Metric, Rows};
use tensoratom::{Companions, Control, Durability, Neighbor, Options, SearchOptions, Store, VectorSnapshot};
use tensoratom_benches::clusters;

use super::{rate, scratch, timed};
use crate::Settings;
use crate::report::Report;

const DIM: usize = 384;
const K: usize = 10;
/// Queries that are asked one by one, and all at once.
const QUERIES: usize = 64;
/// Rows made and added at a time.
const BATCH: usize = 100_000;

pub fn run(settings: &Settings, report: &mut Report) {
    let sizes: &[usize] = if settings.quick { &[10_000] } else { &[10_000, 100_000, 1_000_000] };
    for &count in sizes {
        report.section(&format!("exact top-{K} by squared Euclidean distance, {count} x {DIM} f32, clustered"));
        let dir = scratch(&settings.memory);
        let options = Options::new().durability(Durability::Process);
        let store = Store::create(dir.path().join("store"), &options).unwrap();
        let set = store.vectors("set", DIM, tensoratom::DType::F32, Metric::SqEuclidean).unwrap();
        let set = set.companions(Companions::Never);
        let data = clusters(count, DIM, 0, count);
        let (time, ()) = timed(|| {
            for start in (0..count).step_by(BATCH) {
                let end = (start + BATCH).min(count);
                let ids: Vec<i64> = (start as i64..end as i64).collect();
                set.append(&ids, Rows::of(DIM, &data[start * DIM..end * DIM]).unwrap()).unwrap();
            }
        });
        let bytes = (count * DIM * 4) as u64;
        report.row("adding vectors", "tensoratom", rate(bytes, time), "GB/s");
        let (time, _) = timed(|| set.build_companions(&Control::new()).unwrap());
        report.row("building companions", "tensoratom", rate(bytes, time), "GB/s");
        let queries = clusters(count, DIM, 1, QUERIES);
        let snapshot = set.snapshot().unwrap();
        let (data_file, query_file) = (dir.path().join("data.f32"), dir.path().join("queries.f32"));
        std::fs::write(&data_file, as_bytes(&data)).unwrap();
        std::fs::write(&query_file, as_bytes(&queries)).unwrap();
        drop(data);

        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for threads in [1, cores] {
            let mut ids = None;
            for (who, full) in [("tensoratom, companion", false), ("tensoratom, full scan", true)] {
                let options = SearchOptions::new().threads(threads).full_scan(full);
                let (one, all, found) = measure(&snapshot, &queries, &options);
                report.row(&format!("one query, {threads} threads"), who, one.as_secs_f64() * 1e3, "ms");
                report.row(&format!("{QUERIES} queries, {threads} threads"), who, all.as_secs_f64() * 1e3, "ms");
                let found: Vec<Vec<i64>> = found.iter().map(|list| list.iter().map(|n| n.id).collect()).collect();
                assert_eq!(*ids.get_or_insert_with(|| found.clone()), found, "companion and full scan differ");
            }
            let ids = ids.unwrap_or_default();
            match faiss(settings, &data_file, &query_file, threads) {
                Some((one, all, found)) => {
                    report.row(&format!("one query, {threads} threads"), "faiss IndexFlatL2", one, "ms");
                    report.row(&format!("{QUERIES} queries, {threads} threads"), "faiss IndexFlatL2", all, "ms");
                    let same = ids.iter().zip(&found).filter(|(a, b)| a == b).count();
                    let share = 100.0 * same as f64 / QUERIES as f64;
                    report.row("queries with the same ids in the same order", "faiss IndexFlatL2", share, "%");
                }
                None => println!("  faiss is not there: pip install faiss-cpu numpy, and give --python"),
            }
        }
    }
}

fn as_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Mean time of one query, time of all at once (the better of several), and what was found.
fn measure(
    set: &VectorSnapshot,
    queries: &[f32],
    options: &SearchOptions<'_>,
) -> (Duration, Duration, Vec<Vec<Neighbor>>) {
    let all = Rows::of(DIM, queries).unwrap();
    let found = set.search(all, K, options).unwrap();
    let rounds = 3;
    let one = (0..rounds)
        .map(|_| {
            let (time, ()) = timed(|| {
                for (query, expected) in queries.chunks_exact(DIM).zip(&found) {
                    let one = set.search(Rows::one(query).unwrap(), K, options).unwrap();
                    assert_eq!(one[0], *expected, "alone and together differ");
                }
            });
            time / QUERIES as u32
        })
        .min()
        .unwrap();
    let together = (0..rounds).map(|_| timed(|| set.search(all, K, options).unwrap()).0).min().unwrap();
    (one, together, found)
}

/// The same through faiss: milliseconds per query alone, for all at once, ids.
fn faiss(settings: &Settings, data: &Path, queries: &Path, threads: usize) -> Option<(f64, f64, Vec<Vec<i64>>)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/faiss_flat.py");
    let numbers = [DIM, K, threads].map(|n| n.to_string());
    let output = Command::new(&settings.python).arg(script).args([data, queries]).args(numbers).output().ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let ids = answer["ids"].as_array()?.iter();
    let ids = ids.map(|list| list.as_array().into_iter().flatten().filter_map(|id| id.as_i64()).collect()).collect();
    Some((answer["one_ms"].as_f64()?, answer["all_ms"].as_f64()?, ids))
}

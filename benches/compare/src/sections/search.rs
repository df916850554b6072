//! Exact nearest neighbours: with companion, without, faiss `IndexFlat` on the same bytes with as many threads, and for
//! batches a matrix product of the crate `gemm` with a selection behind it.

use tensoratom::SearchOptions;

use super::vectors::{Filled, K, Measured, QUERIES, best};
use crate::Settings;
use crate::report::Report;

/// 384 dimensions, three sizes.
pub fn run(settings: &Settings, report: &mut Report) {
    let sizes: &[usize] = if settings.quick { &[10_000] } else { &[10_000, 100_000, 1_000_000] };
    for &count in sizes {
        let filled = Filled::new(settings, report, count, 384);
        compare(settings, report, &filled);
        batch(report, &filled);
    }
}

/// 768 dimensions.
pub fn wide(settings: &Settings, report: &mut Report) {
    let count = if settings.quick { 10_000 } else { 1_000_000 };
    let filled = Filled::new(settings, report, count, 768);
    compare(settings, report, &filled);
}

fn compare(settings: &Settings, report: &mut Report, filled: &Filled) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, cores] {
        let mut row = |who: &str, measured: &Measured| {
            report.row(&format!("one query, {threads} threads"), who, measured.one_ms, "ms");
            report.row(&format!("{QUERIES} queries, {threads} threads"), who, measured.all_ms, "ms");
        };
        let options = SearchOptions::new().threads(threads);
        let (pruned, full) = (filled.ours(&options), filled.ours(&options.full_scan(true)));
        assert_eq!(pruned.ids, full.ids, "companion and full scan differ");
        row("tensoratom, companion", &pruned);
        row("tensoratom, full scan", &full);
        if let Some(faiss) = filled.faiss(settings, threads) {
            row("faiss IndexFlatL2", &faiss);
            let share = pruned.agreement(&faiss);
            report.row("queries with the same ids in the same order", "faiss IndexFlatL2", share, "%");
        }
    }
}

/// All queries at once by matrix products: `|x|² - 2 q·x` of blocks of rows, whose norms are known beforehand.
fn batch(report: &mut Report, filled: &Filled) {
    const BLOCK: usize = 4096;
    let dim = filled.dim;
    let bytes = std::fs::read(&filled.data_file).unwrap();
    let data: Vec<f32> = bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    drop(bytes);
    let norms: Vec<f32> = data.chunks_exact(dim).map(|row| row.iter().map(|x| x * x).sum()).collect();
    let mut products = vec![0.0_f32; QUERIES * BLOCK];
    let mut nearest: Vec<Vec<(f32, i64)>> = Vec::new();
    let time = best(|| {
        nearest = vec![Vec::with_capacity(K + 1); QUERIES];
        for (block, rows) in data.chunks(BLOCK * dim).enumerate() {
            let count = rows.len() / dim;
            multiply(&filled.queries, rows, dim, &mut products[..QUERIES * count]);
            for (products, nearest) in products.chunks_exact(count).zip(&mut nearest) {
                for (row, product) in products.iter().enumerate() {
                    let id = block * BLOCK + row;
                    let near = (norms[id] - 2.0 * product, id as i64);
                    if nearest.len() < K || near.0 < nearest[K - 1].0 {
                        let at = nearest.partition_point(|other| *other < near);
                        nearest.insert(at, near);
                        nearest.truncate(K);
                    }
                }
            }
        }
    });
    let what = format!("{QUERIES} queries, 1 threads");
    report.row(&what, "gemm and selection", time, "ms");
    let ids = nearest.iter().map(|list| list.iter().map(|near| near.1).collect()).collect();
    let product = Measured { one_ms: f64::NAN, all_ms: time, ids };
    let ours = filled.ours(&SearchOptions::new().threads(1));
    report.row("queries with the same ids in the same order", "gemm and selection", ours.agreement(&product), "%");
}

/// `products[q][r] = queries[q] · rows[r]`, on one thread.
fn multiply(queries: &[f32], rows: &[f32], dim: usize, products: &mut [f32]) {
    let (m, n) = (queries.len() / dim, rows.len() / dim);
    assert_eq!(products.len(), m * n);
    // SAFETY: the three matrices are as long as their sizes and strides say: m x dim and n x dim, both row by row (the
    // second one is taken transposed), and m x n.
    unsafe {
        gemm::gemm(
            m,
            n,
            dim,
            products.as_mut_ptr(),
            1,
            n as isize,
            false,
            queries.as_ptr(),
            1,
            dim as isize,
            rows.as_ptr(),
            dim as isize,
            1,
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

//! Distances: pairs in cache, scans of matrices far larger than cache against a plain sum of the same bytes, batches.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tensoratom::DType;
use tensoratom::kernels::{Metric, Rows, distance, dot_i8_batch, dot_i8_many, many_to_many, one_to_many};
use tensoratom_benches::{numbers, plain_sum};

const DIM: usize = 1536;
const TYPES: [DType; 6] = [DType::F32, DType::F16, DType::Bf16, DType::I8, DType::B1, DType::F64];

fn pairs(c: &mut Criterion) {
    let mut group = c.benchmark_group("a pair of 1536, in cache");
    for dtype in TYPES {
        let (a, b) = (numbers(1, dtype, 1, DIM), numbers(2, dtype, 1, DIM));
        let (a, b) = (Rows::new(dtype, 1, DIM, &a).unwrap(), Rows::new(dtype, 1, DIM, &b).unwrap());
        for metric in [Metric::Dot, Metric::Cosine, Metric::SqEuclidean] {
            group.bench_function(format!("{metric} {dtype}"), |bench| {
                bench.iter(|| distance(black_box(metric), black_box(a), black_box(b)).unwrap());
            });
        }
    }
    group.finish();
}

fn scans(c: &mut Criterion) {
    const BYTES: usize = 256 << 20;
    let mut group = c.benchmark_group("one to many, 256 MiB of rows of 1536");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(20);
    for dtype in TYPES {
        let width = DIM * dtype.bits() as usize / 8;
        let rows = BYTES / width;
        let (query, data) = (numbers(1, dtype, 1, DIM), numbers(2, dtype, rows, DIM));
        let query = Rows::new(dtype, 1, DIM, &query).unwrap();
        let matrix = Rows::new(dtype, rows, DIM, &data).unwrap();
        let mut out = vec![0.0; rows];
        group
            .bench_function(format!("plain sum, bytes of {dtype}"), |bench| bench.iter(|| plain_sum(black_box(&data))));
        for metric in [Metric::Dot, Metric::Cosine, Metric::SqEuclidean] {
            group.bench_function(format!("{metric} {dtype}"), |bench| {
                bench.iter(|| one_to_many(metric, black_box(query), black_box(matrix), &mut out).unwrap());
            });
        }
    }
    let codes: Vec<i8> = numbers(3, DType::I8, BYTES / DIM, DIM).iter().map(|&code| code as i8).collect();
    let mut out = vec![0; codes.len() / DIM];
    group.bench_function("dot_i8_many", |bench| {
        bench.iter(|| dot_i8_many(black_box(&codes[..DIM]), black_box(&codes), DIM, &mut out).unwrap());
    });
    group.finish();
}

fn batches(c: &mut Criterion) {
    const ROWS: usize = 8192;
    const QUERIES: usize = 64;
    let mut group = c.benchmark_group("many to many, 64 x 8192 of 768");
    group.throughput(Throughput::Elements((QUERIES * ROWS) as u64)).sample_size(20);
    for dtype in TYPES {
        let (queries, data) = (numbers(1, dtype, QUERIES, 768), numbers(2, dtype, ROWS, 768));
        let queries = Rows::new(dtype, QUERIES, 768, &queries).unwrap();
        let data = Rows::new(dtype, ROWS, 768, &data).unwrap();
        let mut out = vec![0.0; QUERIES * ROWS];
        group.bench_function(format!("dot {dtype}"), |bench| {
            bench.iter(|| many_to_many(Metric::Dot, black_box(queries), black_box(data), &mut out).unwrap());
        });
    }
    let codes: Vec<i8> = numbers(3, DType::I8, ROWS, 768).iter().map(|&code| code as i8).collect();
    let mut out = vec![0; QUERIES * ROWS];
    group.bench_function("dot_i8_batch", |bench| {
        bench.iter(|| dot_i8_batch(black_box(&codes[..QUERIES * 768]), black_box(&codes), 768, &mut out).unwrap());
    });
    group.finish();
}

criterion_group!(benches, pairs, scans, batches);
criterion_main!(benches);

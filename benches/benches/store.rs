//! The paths users feel: reading what was read before, reading for the first time, storing.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tensoratom::{DType, Durability, Options, ReadMode, Store, Tensor};
use tensoratom_benches::{filled, key, noise, scratch};

fn known_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("get a known key");
    for len in [64, 4096, 1 << 20] {
        let directory = scratch().unwrap();
        let store = filled(directory.path(), 256, len).unwrap();
        let keys: Vec<String> = (0..256).map(key).collect();
        keys.iter().for_each(|key| drop(store.get(key).unwrap().bytes().unwrap()));
        let mut n = 0;
        group.bench_function(format!("{len} bytes"), |b| {
            b.iter(|| {
                n = (n + 1) % 256;
                black_box(store.get(&keys[n]).unwrap().bytes().unwrap())
            });
        });
    }
    group.finish();
}

fn first_touch(c: &mut Criterion) {
    let mut group = c.benchmark_group("first touch, verified");
    let len = 64 << 20;
    let directory = scratch().unwrap();
    drop(filled(directory.path(), 1, len).unwrap());
    group.throughput(Throughput::Bytes(len as u64)).sample_size(20);
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let options = Options::new().read_only(true).read_mode(mode);
        group.bench_function(format!("{mode:?}"), |b| {
            b.iter_batched(
                || Store::open(directory.path().join("store"), &options).unwrap(),
                |store| black_box(store.get(&key(0)).unwrap().bytes().unwrap()),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn storing(c: &mut Criterion) {
    let mut group = c.benchmark_group("put and commit, RAM disk");
    for len in [64, 1 << 20, 64 << 20] {
        let directory = scratch().unwrap();
        let store =
            Store::create(directory.path().join("store"), &Options::new().durability(Durability::Process)).unwrap();
        let mut bytes = noise(1, len);
        let mut n = 0_u64;
        group.throughput(Throughput::Bytes(len as u64)).sample_size(20);
        group.bench_function(format!("{len} bytes"), |b| {
            b.iter(|| {
                n += 1;
                bytes[..8].copy_from_slice(&n.to_le_bytes());
                store.put("x", &Tensor::new(DType::U8, &[len as u64], &bytes).unwrap()).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, known_keys, first_touch, storing);
criterion_main!(benches);

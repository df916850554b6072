//! Figures of the tiers: freezing, thawing, and reading a row, a tensor and a model that are warm, cold, or decoded before.
//! Prints JSON: the median of the runs of each, in nanoseconds, and rates in bytes of raw payload per second.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // figures, or a loud end

use std::hint::black_box;
use std::time::Instant;

use tensoratom::{Control, DType, Options, Store, Tensor, Tier, set_decode_cache_bytes};
use tensoratom_benches::{clusters, key, scratch};

/// A model of eight tensors of 32 MiB.
const TENSORS: usize = 8;
const SHAPE: [u64; 2] = [21_845, 384];
const ROW_BYTES: u64 = 384 * 4;
const DECODED_BYTES: u64 = 1 << 30;

fn main() {
    let directory = scratch().unwrap();
    let path = directory.path().join("store");
    let open = || Store::open(&path, &Options::new()).unwrap();
    let store = Store::create(&path, &Options::new()).unwrap();
    let mut model_bytes = 0_u64;
    for n in 0..TENSORS {
        // Of norm 1 per row, as embeddings and weights are: exponents in a narrow band, mantissas at random.
        let values = clusters(SHAPE[0] as usize, SHAPE[1] as usize, n as u64, SHAPE[0] as usize);
        model_bytes += values.len() as u64 * 4;
        store.put(key(n).as_str(), &Tensor::from_slice(&SHAPE, &values).unwrap()).unwrap();
    }
    assert_eq!(store.info(key(0).as_str()).unwrap().dtype, DType::F32);
    drop(store);
    let mut results: Vec<(String, f64)> = vec![("model_bytes".into(), model_bytes as f64)];

    let tensor_bytes = SHAPE[0] * ROW_BYTES;
    for state in ["warm", "cold", "decoded"] {
        if state == "cold" {
            let store = open();
            let seconds = move_all(&store, Tier::Cold);
            let stat = store.stat().unwrap();
            results.push(("ratio".into(), stat.tiers[1].ratio()));
            results.push(("freeze_bytes_per_s".into(), model_bytes as f64 / seconds));
        }
        set_decode_cache_bytes(if state == "decoded" { DECODED_BYTES } else { 0 });
        // A store opened anew has verified and decoded nothing.
        let first = |read: &dyn Fn(&Store)| {
            median(9, &mut || {
                let store = open();
                store.get(key(1).as_str()).unwrap();
                let started = Instant::now();
                read(&store);
                started.elapsed().as_nanos() as f64
            })
        };
        let row = |store: &Store, n: u64| {
            let payload = store.get(key(0).as_str()).unwrap();
            black_box(payload.range(n * ROW_BYTES..(n + 1) * ROW_BYTES).unwrap());
        };
        let tensor = |store: &Store, n: usize| drop(black_box(store.get(key(n).as_str()).unwrap().bytes().unwrap()));
        let model = |store: &Store| (0..TENSORS).for_each(|n| tensor(store, n));
        if state == "decoded" {
            let store = open();
            row(&store, 4000);
            let mut again = 0;
            let nanos = median(9, &mut || {
                again += 1;
                per_call(1000, &mut || row(&store, 4000 + again % 8))
            });
            results.push(("row_decoded_ns".into(), nanos));
            model(&store);
            results.push(("tensor_decoded_ns".into(), median(9, &mut || per_call(1000, &mut || tensor(&store, 3)))));
            results.push(("model_decoded_ns".into(), median(9, &mut || per_call(100, &mut || model(&store)))));
            let seconds = median(3, &mut || {
                move_all(&store, Tier::Cold);
                move_all(&store, Tier::Warm)
            });
            results.push(("thaw_bytes_per_s".into(), model_bytes as f64 / seconds));
            continue;
        }
        results.push((format!("row_{state}_first_ns"), first(&|store| row(store, 4000))));
        results.push((format!("tensor_{state}_first_ns"), first(&|store| tensor(store, 2))));
        results.push((format!("model_{state}_first_ns"), first(&model)));
        if state == "warm" {
            let store = open();
            model(&store);
            results
                .push(("tensor_warm_again_ns".into(), median(9, &mut || per_call(100_000, &mut || tensor(&store, 3)))));
            results.push(("row_warm_again_ns".into(), median(9, &mut || per_call(100_000, &mut || row(&store, 4000)))));
        }
    }
    results.push(("tensor_bytes".into(), tensor_bytes as f64));
    let lines: Vec<String> = results.iter().map(|(name, value)| format!("  \"{name}\": {value:.3}")).collect();
    println!("{{\n{}\n}}", lines.join(",\n"));
}

/// Moves everything; the seconds it took.
fn move_all(store: &Store, tier: Tier) -> f64 {
    let started = Instant::now();
    store.move_to_tier(None, "", tier, &Control::new()).unwrap();
    started.elapsed().as_secs_f64()
}

fn per_call(calls: u32, call: &mut dyn FnMut()) -> f64 {
    let started = Instant::now();
    (0..calls).for_each(|_| call());
    started.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn median(runs: usize, run: &mut dyn FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..runs).map(|_| run()).collect();
    all.sort_by(f64::total_cmp);
    all[runs / 2]
}

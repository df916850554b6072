//! Figures of deltas: what a fine-tune of a model takes when it goes to cold by itself and against its base, and how fast it
//! is coded and read. `cargo run --release --package tensoratom-benches --example deltas -- MODEL.safetensors` prints JSON:
//! ratios, and bytes of raw payload per second. Without a file, a model of seeded weights is measured.
//!
//! The fine-tune is simulated: each weight w becomes w + s |w| n, where n is normal and s says how far training went (0.001
//! here, and 0.0001 for a light touch); then it is rounded to the type of its tensor. Biases and embeddings are moved alike.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // figures, or a loud end

use std::hint::black_box;
use std::time::Instant;

use half::bf16;
use tensoratom::{
    Control, DType, ImportOptions, ListOptions, MoveOptions, Options, Store, Tensor, Tier, set_decode_cache_bytes,
};
use tensoratom_benches::{clusters, scratch};

const RUNS: usize = 5;

fn main() {
    let directory = scratch().unwrap();
    let model = model(directory.path());
    set_decode_cache_bytes(0);
    let mut results = Vec::new();
    for (dtype, strength) in [(DType::F32, 1e-3), (DType::Bf16, 1e-3), (DType::F32, 1e-4), (DType::Bf16, 1e-4)] {
        let path = directory.path().join(format!("{dtype}-{strength}"));
        measure(&path, &model, dtype, strength, &mut results);
        std::fs::remove_dir_all(path).unwrap();
    }
    let lines: Vec<String> =
        results.iter().map(|(name, value): &(String, f64)| format!("  \"{name}\": {value:.3}")).collect();
    println!("{{\n{}\n}}", lines.join(",\n"));
}

/// The tensors of the model file named on the command line, or seeded ones.
fn model(directory: &std::path::Path) -> Vec<Vec<f32>> {
    let Some(file) = std::env::args().nth(1) else {
        return (0..8).map(|n| clusters(21_845, 384, n, 21_845)).collect();
    };
    let store = Store::create(directory.join("model"), &Options::new()).unwrap();
    store.import_file(file, &ImportOptions::new(), &Control::new()).unwrap();
    let atoms = store.list(&ListOptions::new()).unwrap();
    let floats = atoms.iter().filter(|atom| atom.dtype == DType::F32);
    floats.map(|atom| store.get(&atom.key).unwrap().view::<f32>().unwrap().to_vec()).collect()
}

fn measure(path: &std::path::Path, model: &[Vec<f32>], dtype: DType, strength: f32, results: &mut Vec<(String, f64)>) {
    let store = Store::create(path, &Options::new()).unwrap();
    for (n, weights) in model.iter().enumerate() {
        put(&store, &format!("base/{n}"), dtype, weights);
        let noise = clusters(weights.len().div_ceil(64), 64, n as u64 + 1, weights.len().div_ceil(64));
        // Rows of norm 1 and 64 elements: eight times as much is normal with a deviation of 1.
        let tuned: Vec<f32> = weights.iter().zip(&noise).map(|(w, n)| w + strength * w.abs() * 8.0 * n).collect();
        put(&store, &format!("tuned/{n}"), dtype, &tuned);
    }
    let mut note = |what: &str, value: f64| results.push((format!("{dtype}_{strength}_{what}"), value));
    for (name, options) in [("plain", MoveOptions::new().deltas(false)), ("delta", MoveOptions::new().base("base/"))] {
        let started = Instant::now();
        let report = store.move_to_tier_with(None, "tuned/", Tier::Cold, &options, &Control::new()).unwrap();
        note(&format!("{name}_freeze_bytes_per_s"), report.raw_bytes as f64 / started.elapsed().as_secs_f64());
        note(&format!("{name}_ratio"), report.raw_bytes as f64 / report.stored_bytes_after as f64);
        note(&format!("{name}_read_bytes_per_s"), read(&store, model.len()));
        if name == "plain" {
            store.move_to_tier(None, "tuned/", Tier::Warm, &Control::new()).unwrap();
        }
    }
    store.move_to_tier(None, "base/", Tier::Cold, &Control::new()).unwrap();
    note("delta_of_cold_base_read_bytes_per_s", read(&store, model.len()));
    note("deltas", store.stat().unwrap().deltas.payloads as f64);
}

fn put(store: &Store, key: &str, dtype: DType, weights: &[f32]) {
    let shape = [weights.len() as u64];
    if dtype == DType::F32 {
        store.put(key, &Tensor::from_slice(&shape, weights).unwrap()).unwrap();
    } else {
        let rounded: Vec<bf16> = weights.iter().map(|&weight| bf16::from_f32(weight)).collect();
        store.put(key, &Tensor::from_slice(&shape, &rounded).unwrap()).unwrap();
    }
}

/// Bytes per second of all tuned tensors, one after the other, nothing decoded before: the median of some runs.
fn read(store: &Store, tensors: usize) -> f64 {
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            let bytes: usize = (0..tensors)
                .map(|n| black_box(store.get(format!("tuned/{n}").as_str()).unwrap().bytes().unwrap()).len())
                .sum();
            bytes as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[RUNS / 2]
}

//! `bench`: what this machine gives, measured in a store that is made for it and removed. For figures against other
//! libraries see `benches/`.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Map, json};
use tensoratom::{Control, DType, Error, Options, Result, Store, Tensor, VerifyOptions};

use crate::args::Bench;
use crate::output::{Align, Outcome, print_json, print_table};

const TENSOR_BYTES: u64 = 16 << 20;
const COMMITS: u32 = 200;
const READS: u32 = 1_000_000;

pub(crate) fn bench(args: &Bench) -> Result<Outcome> {
    let scratch = tempfile::Builder::new()
        .prefix("tensoratom-bench-")
        .tempdir_in(&args.directory)
        .map_err(|e| Error::from_io("creating a directory", e).with_path(&args.directory))?;
    let mut results: Vec<(&'static str, f64, &'static str)> = Vec::new();
    let count = args.size.div_ceil(TENSOR_BYTES).max(1);
    let total = (count * TENSOR_BYTES) as f64;
    let tensors: Vec<Vec<u8>> = (0..count.min(4)).map(|i| noise(i, TENSOR_BYTES as usize)).collect();
    let rate = |bytes: f64, time: Duration| bytes / time.as_secs_f64() / 1e9;

    let started = Instant::now();
    let plain = scratch.path().join("plain.bin");
    let write_plain = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&plain)?;
        for i in 0..count {
            file.write_all(&tensors[(i % tensors.len() as u64) as usize])?;
        }
        file.sync_data()
    };
    write_plain().map_err(|e| Error::from_io("writing a plain file", e))?;
    results.push(("plain file: write and sync", rate(total, started.elapsed()), "GB/s"));
    let _ = std::fs::remove_file(&plain);

    let store = Store::create(scratch.path().join("store"), &Options::new())?;
    let started = Instant::now();
    let mut txn = store.begin()?;
    let mut bytes = tensors[0].clone();
    for i in 0..count {
        bytes[..8].copy_from_slice(&i.to_le_bytes()); // no two payloads alike
        txn.put(format!("bench/{i:06}").as_str(), &Tensor::new(DType::U8, &[TENSOR_BYTES], &bytes)?)?;
    }
    txn.commit()?;
    results.push(("store: put and commit", rate(total, started.elapsed()), "GB/s"));

    let started = Instant::now();
    for i in 0..count {
        black_box(store.get(format!("bench/{i:06}").as_str())?.bytes()?);
    }
    results.push(("first touch, verified", rate(total, started.elapsed()), "GB/s"));

    let started = Instant::now();
    for _ in 0..READS {
        black_box(store.get("bench/000000")?.bytes()?);
    }
    results.push(("get of a known key", started.elapsed().as_secs_f64() * 1e9 / f64::from(READS), "ns"));

    let started = Instant::now();
    let report = store.verify(&VerifyOptions::new(), &Control::new())?;
    results.push(("verify: checksums and digests", rate(report.bytes_checked as f64, started.elapsed()), "GB/s"));

    let started = Instant::now();
    for i in 0..COMMITS {
        store.put(i64::from(i), &Tensor::from_slice(&[1], &[i])?)?;
    }
    results.push(("durable commit of a small atom", started.elapsed().as_secs_f64() * 1e3 / f64::from(COMMITS), "ms"));

    if args.json {
        let values: Map<_, _> = results
            .iter()
            .map(|(what, value, unit)| ((*what).to_owned(), json!({ "value": value, "unit": unit })))
            .collect();
        print_json(&json!({ "bytes": count * TENSOR_BYTES, "results": values }));
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|(what, value, unit)| vec![(*what).to_owned(), format!("{value:.2}"), (*unit).to_owned()])
        .collect();
    print_table(&[("WHAT", Align::Left), ("VALUE", Align::Right), ("UNIT", Align::Left)], &rows);
    Ok(Outcome::Done)
}

/// Bytes that neither compress nor repeat (SplitMix64, Steele, Lea, Flood 2014).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..len / 8).flat_map(|_| next().to_le_bytes()).collect()
}

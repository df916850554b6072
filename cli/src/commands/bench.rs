//! `bench`: what this machine gives, measured in a store that is made for it and removed. For figures against other
//! libraries see `benches/`.

use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, json};
use tensoratom::{DType, Error, Options, Result, Store, Tensor, VerifyOptions};

use crate::args::Bench;
use crate::output::{Align, Outcome, Table, print_json};
use crate::progress::Follow;

const TENSOR_BYTES: u64 = 16 << 20;
const COMMITS: u32 = 200;
const READS: u32 = 1_000_000;

/// What was measured, its value, its unit.
type Figure = (&'static str, f64, &'static str);

pub(crate) fn bench(args: &Bench) -> Result<Outcome> {
    let scratch = tempfile::Builder::new()
        .prefix("tensoratom-bench-")
        .tempdir_in(&args.directory)
        .map_err(|e| Error::from_io("creating a directory", e).with_path(&args.directory))?;
    let workload = Workload::new(args.size);
    let store = Store::create(scratch.path().join("store"), &Options::new())?;
    let follow = Follow::new("bench");
    let plain = scratch.path().join("plain.bin");
    let steps: [&dyn Fn() -> Result<Figure>; 6] = [
        &|| workload.write_plain(&plain),
        &|| workload.put(&store),
        &|| workload.first_touch(&store),
        &|| get_known(&store),
        &|| verify(&store, &follow),
        &|| commit_small(&store),
    ];
    let mut figures = Vec::with_capacity(steps.len());
    for step in steps {
        figures.push(step()?);
        if follow.is_interrupted() {
            return Ok(Outcome::Interrupted); // and the directory goes
        }
    }
    if args.json {
        let values =
            figures.iter().map(|(what, value, unit)| ((*what).to_owned(), json!({"value": value, "unit": unit})));
        print_json(&json!({ "bytes": workload.bytes(), "results": values.collect::<Map<_, _>>() }))?;
    } else {
        let mut table = Table::new([("WHAT", Align::Left), ("VALUE", Align::Right), ("UNIT", Align::Left)]);
        table.print(
            figures.iter().map(|(what, value, unit)| vec![(*what).into(), format!("{value:.2}"), (*unit).into()]),
        )?;
    }
    Ok(Outcome::Done)
}

/// Tensors of one size, no two alike.
struct Workload {
    tensor_bytes: u64,
    count: u64,
    noise: Vec<u8>,
}

impl Workload {
    fn new(bytes: u64) -> Self {
        let tensor_bytes = bytes.clamp(8, TENSOR_BYTES);
        Workload { tensor_bytes, count: bytes.div_ceil(tensor_bytes).max(1), noise: noise(tensor_bytes as usize) }
    }

    fn bytes(&self) -> u64 {
        self.count * self.tensor_bytes
    }

    fn rate(&self, started: Instant) -> f64 {
        gigabytes_per_second(self.bytes(), started)
    }

    /// Calls `take` with each tensor's number and bytes.
    fn each(&self, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut bytes = self.noise.clone();
        for i in 0..self.count {
            bytes[..8].copy_from_slice(&i.to_le_bytes());
            take(i, &bytes)?;
        }
        Ok(())
    }

    fn write_plain(&self, path: &Path) -> Result<Figure> {
        let io = |e: io::Error| Error::from_io("writing a plain file", e).with_path(path);
        let started = Instant::now();
        let mut file = fs::File::create(path).map_err(io)?;
        self.each(|_, bytes| file.write_all(bytes).map_err(io))?;
        file.sync_data().map_err(io)?;
        let rate = self.rate(started);
        fs::remove_file(path).map_err(io)?;
        Ok(("plain file: write and sync", rate, "GB/s"))
    }

    fn put(&self, store: &Store) -> Result<Figure> {
        let started = Instant::now();
        let mut txn = store.begin()?;
        self.each(|i, bytes| txn.put(key(i).as_str(), &Tensor::new(DType::U8, &[self.tensor_bytes], bytes)?))?;
        txn.commit()?;
        Ok(("store: put and commit", self.rate(started), "GB/s"))
    }

    fn first_touch(&self, store: &Store) -> Result<Figure> {
        let started = Instant::now();
        for i in 0..self.count {
            black_box(store.get(key(i).as_str())?.bytes()?);
        }
        Ok(("first touch, verified", self.rate(started), "GB/s"))
    }
}

fn key(i: u64) -> String {
    format!("bench/{i:06}")
}

fn get_known(store: &Store) -> Result<Figure> {
    let key = key(0);
    let started = Instant::now();
    for _ in 0..READS {
        black_box(store.get(key.as_str())?.bytes()?);
    }
    Ok(("get of a known key", started.elapsed().as_secs_f64() * 1e9 / f64::from(READS), "ns"))
}

fn verify(store: &Store, follow: &Follow) -> Result<Figure> {
    let started = Instant::now();
    let report = follow.run(|control| store.verify(&VerifyOptions::new(), control))?;
    Ok(("verify: checksums and digests", gigabytes_per_second(report.bytes_checked, started), "GB/s"))
}

fn commit_small(store: &Store) -> Result<Figure> {
    let started = Instant::now();
    for i in 0..COMMITS {
        store.put(i64::from(i), &Tensor::from_slice(&[1], &[i])?)?;
    }
    Ok(("durable commit of a small atom", started.elapsed().as_secs_f64() * 1e3 / f64::from(COMMITS), "ms"))
}

fn gigabytes_per_second(bytes: u64, started: Instant) -> f64 {
    bytes as f64 / started.elapsed().as_secs_f64() / 1e9
}

/// Bytes that neither compress nor repeat (SplitMix64, Steele, Lea, Flood 2014).
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

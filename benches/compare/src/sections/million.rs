//! A store of a million atoms: open time, a key never read before, memory.

use std::hint::black_box;

use tensoratom::{Options, Store};
use tensoratom_benches::key;

use super::{scratch, timed};
use crate::Settings;
use crate::engines::{self, Engine, Ours};
use crate::report::Report;

pub fn run(settings: &Settings, report: &mut Report) {
    let count = if settings.quick { 20_000 } else { 1_000_000 };
    report.section(&format!("{count} atoms of 64 bytes on disk"));
    let dir = scratch(&settings.disk);
    let value = |n: usize| {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
        bytes
    };
    for engine in engines::all(dir.path(), 4 << 30) {
        let (time, ()) = timed(|| {
            for start in (0..count).step_by(20_000) {
                let values: Vec<(String, [u8; 64])> =
                    (start..(start + 20_000).min(count)).map(|n| (key(n), value(n))).collect();
                engine.put_all(&mut values.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())));
            }
        });
        report.row("storing, batches of 20,000", engine.name(), count as f64 / time.as_secs_f64() / 1e3, "thousand/s");
        // Keys in an order that no cache likes, none twice.
        let probes: Vec<String> = (0..10_000).map(|n| key((n * 7919 + 13) % count)).collect();
        let (time, ()) = timed(|| {
            for probe in &probes {
                engine.get(probe, &mut |bytes| {
                    black_box(bytes[0]);
                });
            }
        });
        report.row("get of a key not read before, and bytes", engine.name(), time.as_micros() as f64 / 1e4, "us");
    }
    ours_alone(&dir.path().join("tensoratom"), count, report);
}

/// What only this engine has: a descriptor without its payload, an open with its own process's memory.
fn ours_alone(path: &std::path::Path, count: usize, report: &mut Report) {
    let before = resident_bytes();
    let (time, store) = timed(|| Store::open(path, &Options::new()).unwrap());
    report.row("open", "tensoratom (verified)", time.as_secs_f64() * 1e3, "ms");
    let ours = Ours(store);
    let probes: Vec<String> = (0..10_000).map(|n| key((n * 104_729 + 7) % count)).collect();
    let (time, ()) = timed(|| probes.iter().for_each(|probe| drop(black_box(ours.0.get(probe).unwrap()))));
    report.row("get of a key not in the cache", "tensoratom (verified)", time.as_micros() as f64 / 1e4, "us");
    let look = &mut |bytes: &[u8]| {
        black_box(bytes[0]);
    };
    let (time, ()) = timed(|| probes.iter().for_each(|probe| ours.get(probe, look)));
    report.row("first touch of 64 bytes", "tensoratom (verified)", time.as_micros() as f64 / 1e4, "us");
    let grown = resident_bytes().saturating_sub(before);
    report.row("resident memory after 10,000 gets", "tensoratom (verified)", grown as f64 / 1e6, "MB");
    let (time, stat) = timed(|| ours.0.stat().unwrap());
    assert_eq!(stat.atoms, count as u64);
    report.row("stat", "tensoratom (verified)", time.as_secs_f64() * 1e3, "ms");
    report.row("bytes on disk per atom", "tensoratom (verified)", stat.disk_bytes as f64 / count as f64, "bytes");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

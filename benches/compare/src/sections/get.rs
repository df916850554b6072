//! Reading a key that was read before.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tensoratom_benches::{key, noise};

use super::scratch;
use crate::Settings;
use crate::engines::{self, Engine};
use crate::report::Report;

const KEYS: usize = 256;

pub fn known_keys(settings: &Settings, report: &mut Report) {
    report.section("get of a key read before (begin + get; the bytes' first and last are looked at)");
    let time_each = Duration::from_millis(if settings.quick { 20 } else { 400 });
    for len in [64, 4096, 1 << 20] {
        let dir = scratch(&settings.memory);
        let payloads: Vec<Vec<u8>> = (0..KEYS).map(|n| noise(n as u64, len)).collect();
        for engine in engines::all(dir.path(), 2 << 30) {
            engine.put_all(&mut payloads.iter().enumerate().map(|(n, bytes)| (key(n), bytes.as_slice())));
            let keys: Vec<String> = (0..KEYS).map(key).collect();
            for (key, expected) in keys.iter().zip(&payloads) {
                engine.get(key, &mut |bytes| assert_eq!(bytes, expected.as_slice(), "{}", engine.name()));
            }
            // An engine that copies large values needs fewer reads to say the same.
            let reads = (time_each.as_nanos() * 100 / run(&*engine, &keys, 100, 1).as_nanos()) as usize;
            for threads in [1, 2] {
                let time = run(&*engine, &keys, reads, threads);
                let ns = time.as_nanos() as f64 / reads as f64;
                report.row(&format!("{len} bytes, {threads} thread(s), per get and thread"), engine.name(), ns, "ns");
            }
        }
    }
}

/// Wall time in which every thread makes all its reads.
fn run(engine: &dyn Engine, keys: &[String], reads: usize, threads: usize) -> Duration {
    let once = || {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || {
                    let mut sum = 0_u64;
                    // Each thread in an order of its own: in step they would only measure who waits for whom.
                    let mut state = thread as u64 + 1;
                    for _ in 0..reads {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let key = &keys[(state >> 33) as usize % keys.len()];
                        engine.get(key, &mut |bytes| {
                            sum += u64::from(bytes[0]) + u64::from(bytes[bytes.len() - 1]);
                        });
                    }
                    black_box(sum);
                });
            }
        });
        started.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

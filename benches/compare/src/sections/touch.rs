//! Touching a payload for the first time: verified here, unverified elsewhere, against plain reads of the same bytes.

use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use tensoratom::{DType, Options, ReadMode, Store, Tensor};
use tensoratom_benches::noise;

use super::{best_of, rate, scratch, timed};
use crate::Settings;
use crate::engines::{Engine, Lmdb};
use crate::report::Report;

pub fn run(settings: &Settings, report: &mut Report) {
    let len: u64 = if settings.quick { 32 << 20 } else { 512 << 20 };
    for (place, directory) in [("RAM disk", &settings.memory), ("disk, cached", &settings.disk)] {
        report.section(&format!("first touch of {} MiB, one thread, {place}", len >> 20));
        let dir = scratch(directory);
        let bytes = noise(1, len as usize);
        let path = dir.path().join("store");
        let store = Store::create(&path, &Options::new()).unwrap();
        store.put("x", &Tensor::new(DType::U8, &[len], &bytes).unwrap()).unwrap();
        drop(store);
        let file = dir.path().join("plain");
        std::fs::File::create(&file).unwrap().write_all(&bytes).unwrap();
        let expected = sum(&bytes);

        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            let time = best_of(5, || {
                let store = Store::open(&path, &Options::new().read_only(true).read_mode(mode).threads(1)).unwrap();
                let payload = store.get("x").unwrap();
                let (time, bytes) = timed(|| payload.bytes().unwrap());
                assert_eq!(bytes.len() as u64, len);
                time
            });
            report.row(&format!("bytes(), {mode:?}"), "tensoratom (verified)", rate(len, time), "GB/s");
        }
        let time = best_of(3, || {
            let store = Store::open(&path, &Options::new().read_only(true)).unwrap();
            let (time, found) = timed(|| sum(&store.get("x").unwrap().bytes().unwrap()));
            assert_eq!(found, expected);
            time
        });
        report.row("bytes(), then a sum over them", "tensoratom (verified)", rate(len, time), "GB/s");
        let time = best_of(3, || timed(|| assert_eq!(mapped_sum(&file), expected)).0);
        report.row("sum over a fresh map", "plain file (unverified)", rate(len, time), "GB/s");
        let time = best_of(3, || timed(|| assert_eq!(read_sum(&file), expected)).0);
        report.row("read in 1 MiB blocks and sum", "plain file (unverified)", rate(len, time), "GB/s");
        let time = best_of(3, || timed(|| assert_eq!(sum(black_box(&bytes)), expected)).0);
        report.row("sum of bytes in memory", "limit: memory bandwidth", rate(len, time), "GB/s");

        let lmdb = dir.path().join("lmdb");
        std::fs::create_dir(&lmdb).unwrap();
        Lmdb::create(&lmdb, len as usize * 2 + (16 << 20))
            .put_all(&mut [("x".to_owned(), bytes.as_slice())].into_iter());
        let time = best_of(3, || {
            let engine = Lmdb::create(&lmdb, len as usize * 2 + (16 << 20));
            timed(|| engine.get("x", &mut |found| assert_eq!(sum(found), expected))).0
        });
        report.row("get and sum", "LMDB (unverified)", rate(len, time), "GB/s");
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks_exact(8).fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(word.try_into().unwrap())))
}

fn mapped_sum(path: &Path) -> u64 {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: nobody changes the file while it is mapped.
    sum(&unsafe { memmap2::Mmap::map(&file).unwrap() })
}

fn read_sum(path: &Path) -> u64 {
    let mut file = std::fs::File::open(path).unwrap();
    let mut block = vec![0; 1 << 20];
    let mut total = 0_u64;
    loop {
        let got = file.read(&mut block).unwrap();
        if got == 0 {
            return total;
        }
        total = total.wrapping_add(sum(&block[..got]));
    }
}

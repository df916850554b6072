//! A large model through the command line: peak memory, and bytes written per byte stored, as the kernel counts them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tensoratom_benches::noise;

use super::{rate, scratch};
use crate::Settings;
use crate::report::Report;

const TENSOR_BYTES: u64 = 64 << 20;

pub fn run(settings: &Settings, report: &mut Report) {
    let count = if settings.quick { 4 } else { 160 };
    let total = count * TENSOR_BYTES;
    report.section(&format!("a model of {} MiB through the command line, disk", total >> 20));
    let dir = scratch(&settings.disk);
    let file = dir.path().join("big.safetensors");
    write_model(&file, count);
    let store = dir.path().join("store");
    let out = dir.path().join("out.safetensors");
    let runs: [(&str, Vec<&Path>, &[&str]); 2] =
        [("import", vec![&store, &file], &["--create"]), ("export", vec![&store], &["-o"])];
    for (what, paths, flags) in runs {
        let mut command = Command::new(&settings.cli);
        command.arg(what).args(paths).args(flags);
        if what == "export" {
            command.arg(&out);
        }
        let started = Instant::now();
        let usage = run_measured(command);
        let time = started.elapsed();
        let who = "tensoratom (verified)";
        report.row(&format!("{what}: rate, process included"), who, rate(total, time), "GB/s");
        report.row(&format!("{what}: peak resident memory"), who, usage.peak_bytes as f64 / 1e6, "MB");
        report.row(&format!("{what}: bytes written per byte"), who, usage.written_bytes as f64 / total as f64, "");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().len(), std::fs::metadata(&out).unwrap().len());
}

fn write_model(path: &Path, count: u64) {
    let entries = (0..count).map(|n| {
        let (start, end) = (n * TENSOR_BYTES, (n + 1) * TENSOR_BYTES);
        format!(r#""layer.{n}":{{"dtype":"U8","shape":[{TENSOR_BYTES}],"data_offsets":[{start},{end}]}}"#)
    });
    let header = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let mut bytes = noise(1, TENSOR_BYTES as usize);
    for n in 0..count {
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        file.write_all(&bytes).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

struct Usage {
    peak_bytes: u64,
    written_bytes: u64,
}

fn run_measured(mut command: Command) -> Usage {
    let child = command.spawn().expect("starting the command line; build it with `cargo build --release`");
    let mut status = 0;
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: waits for our own child; both pointers are to live locals.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) };
    assert!(waited > 0 && status == 0, "the command failed");
    Usage { peak_bytes: usage.ru_maxrss as u64 * 1024, written_bytes: usage.ru_oublock as u64 * 512 }
}

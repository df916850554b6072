//! Storing large payloads, durably: against plain files and the rivals.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use tensoratom_benches::{key, noise};

use super::{rate, scratch, timed};
use crate::Settings;
use crate::engines::{self, Engine};
use crate::report::Report;

const TENSOR_BYTES: usize = 16 << 20;

pub fn run(settings: &Settings, report: &mut Report) {
    let total: u64 = if settings.quick { 64 << 20 } else { 1 << 30 };
    let count = total as usize / TENSOR_BYTES;
    let tensors: Vec<Vec<u8>> = (0..count).map(|n| noise(n as u64, TENSOR_BYTES)).collect();
    for (place, directory) in [("RAM disk", &settings.memory), ("disk", &settings.disk)] {
        report.section(&format!("storing {} MiB in payloads of 16 MiB from memory, {place}", total >> 20));
        // Twice, the second counts: the first finds memory the machine never touched.
        for round in 0..2 {
            let mut measure = |what: &str, who: &str, work: &mut dyn FnMut(&Path)| {
                let dir = scratch(directory);
                let (time, ()) = timed(|| work(dir.path()));
                if round == 1 {
                    report.row(what, who, rate(total, time), "GB/s");
                }
                settle();
            };
            measure("write and fsync", "plain file", &mut |dir| {
                let mut file = File::create(dir.join("plain")).unwrap();
                tensors.iter().for_each(|bytes| file.write_all(bytes).unwrap());
                file.sync_data().unwrap();
            });
            measure("serialize and fsync", "safetensors file", &mut |dir| {
                let path = dir.join("x.safetensors");
                let view =
                    |bytes| safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![TENSOR_BYTES], bytes);
                let views = tensors.iter().enumerate().map(|(n, bytes)| (key(n), view(bytes).unwrap()));
                safetensors::serialize_to_file(views, None, &path).unwrap();
                File::open(path).unwrap().sync_data().unwrap();
            });
            for which in 0..4 {
                let name = engines::all(scratch(&settings.memory).path(), 1 << 20)[which].name();
                measure("put and commit", name, &mut |dir| {
                    let engine: Box<dyn Engine> = engines::all(dir, total as usize * 2).swap_remove(which);
                    engine.put_all(&mut tensors.iter().enumerate().map(|(n, bytes)| (key(n), bytes.as_slice())));
                });
            }
        }
    }
}

/// Lets the system write out what others left, so that nobody pays for his neighbour.
fn settle() {
    // SAFETY: `sync` has no arguments and no result.
    unsafe { libc::sync() };
}

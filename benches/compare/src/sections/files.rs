//! Opening a model and getting one tensor: against a safetensors file read by its own crate.

use std::hint::black_box;

use tensoratom::{Control, ImportOptions, Options, Store};
use tensoratom_benches::{key, noise};

use super::{best_of, scratch, timed};
use crate::Settings;
use crate::report::Report;

const TENSORS: usize = 300;
const LEN: usize = 1 << 20;

pub fn run(settings: &Settings, report: &mut Report) {
    report.section(&format!("a model of {TENSORS} tensors of 1 MiB: open, then one tensor (disk, cached)"));
    let dir = scratch(&settings.disk);
    let file = dir.path().join("m.safetensors");
    let tensors: Vec<Vec<u8>> = (0..TENSORS).map(|n| noise(n as u64, LEN)).collect();
    let view = |bytes| safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![LEN], bytes).unwrap();
    let views = tensors.iter().enumerate().map(|(n, bytes)| (key(n), view(bytes)));
    safetensors::serialize_to_file(views, None, &file).unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &Options::new()).unwrap();
    store.import_file(&file, &ImportOptions::new(), &Control::new()).unwrap();
    drop(store);
    let wanted = key(TENSORS / 2);
    let expected = &tensors[TENSORS / 2];

    let time = best_of(20, || {
        let (time, store) = timed(|| {
            let store = Store::open(&path, &Options::new().read_only(true)).unwrap();
            let bytes = store.get(&wanted).unwrap().bytes().unwrap();
            (store, bytes)
        });
        assert_eq!(*store.1, **expected);
        time
    });
    report.row("open and first tensor", "tensoratom (verified)", time.as_secs_f64() * 1e6, "us");
    let time = best_of(20, || {
        let source = std::fs::File::open(&file).unwrap();
        let (time, ()) = timed(|| {
            // SAFETY: nobody changes the file while it is mapped.
            let map = unsafe { memmap2::Mmap::map(&source).unwrap() };
            let tensors = safetensors::SafeTensors::deserialize(&map).unwrap();
            let data = tensors.tensor(&wanted).unwrap();
            // Touched, so that both have the bytes in memory.
            black_box(data.data().iter().step_by(4096).fold(0_u64, |sum, &byte| sum + u64::from(byte)));
        });
        time
    });
    report.row("map, parse header, touch one tensor", "safetensors (unverified)", time.as_secs_f64() * 1e6, "us");
    let store = Store::open(&path, &Options::new().read_only(true)).unwrap();
    store.get(&wanted).unwrap().bytes().unwrap();
    let rows = 100_000;
    let (time, ()) = timed(|| {
        for n in 0..rows {
            let at = (n * 4096) % LEN as u64;
            black_box(store.get(&wanted).unwrap().range(at..at + 512).unwrap()[0]);
        }
    });
    report.row("one slice of 512 bytes", "tensoratom (verified)", time.as_nanos() as f64 / rows as f64, "ns");
}

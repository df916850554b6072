//! Defects that a reading of the whole engine found, each with its story.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tensoratom::file::{Entry, File, Identity, Open};
use tensoratom::testing::crash::small_options;
use tensoratom::testing::random::Random;
use tensoratom::testing::{Fault, FaultKind, FaultVolume, Medium, SimDisk, Volume};
use tensoratom::{
    Control, DType, Durability, ErrorKind, ExportOptions, FileFormat, ImportOptions, ListOptions, Options, PutOptions,
    Store, Tensor, VerifyOptions,
};

fn put_bytes(store: &Store, key: &str, bytes: &[u8]) -> tensoratom::Result<u64> {
    store.put(key, &Tensor::new(DType::U8, &[bytes.len() as u64], bytes)?)
}

/// A safetensors file with one tensor of so many bytes.
fn one_tensor_file(path: &Path, len: u64) {
    let mut header = format!(r#"{{"big":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#);
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    fs::write(path, &bytes).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes.len() as u64 + len).unwrap();
}

// Story: while a tensor of more than 32 MiB is stored, a second thread reads ahead. When storing failed, say on a full
// disk, the reader waited for a buffer that nobody would give back, and the importer for the reader: for ever.
#[test]
fn an_import_that_runs_out_of_space_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big.safetensors");
    one_tensor_file(&path, 80 << 20);
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &Options::new().threads(1), true).unwrap();
    disk.set_capacity(disk.used_bytes() + (20 << 20));
    let (done, outcome) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(store.import_file(&path, &ImportOptions::new(), &Control::new()).map_err(|e| e.kind()));
    });
    let outcome = outcome.recv_timeout(Duration::from_secs(60)).expect("the import hangs");
    assert_eq!(outcome, Err(ErrorKind::DiskFull));
}

// Story: the cancel flag was looked at between tensors only, so that a single tensor of 100 GB could not be stopped.
#[test]
fn an_import_stops_inside_a_large_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big.safetensors");
    one_tensor_file(&path, 80 << 20);
    let store = Store::open_on(SimDisk::new().process(), &Options::new().threads(1), true).unwrap();
    let cancel = AtomicBool::new(false);
    let seen = AtomicBool::new(false);
    let stop = |progress: tensoratom::Progress| {
        seen.store(progress.bytes_done < progress.bytes_total, Ordering::SeqCst);
        cancel.store(true, Ordering::SeqCst);
    };
    let outcome = store.import_file(&path, &ImportOptions::new(), &Control::new().progress(&stop).cancel(&cancel));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(seen.load(Ordering::SeqCst), "progress was reported inside the tensor");
}

// Story: the first dimension of packed bits alone has no rows of whole bytes. Row 1 of [16] was the second byte, so bits
// 8 to 15.
#[test]
fn single_bits_are_no_rows() {
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    store.put("bits", &Tensor::new(DType::B1, &[16], &[0x0f, 0xf0]).unwrap()).unwrap();
    store.put("rows", &Tensor::new(DType::B1, &[2, 8], &[0x0f, 0xf0]).unwrap()).unwrap();
    assert_eq!(store.get("bits").unwrap().rows(1..2).unwrap_err().kind(), ErrorKind::InvalidShape);
    assert_eq!(store.get("rows").unwrap().rows(1..2).unwrap()[..], [0xf0]);
}

// Story: the integer key 5 and the name "5" became two tensors of one name, and the file could not be read.
#[test]
fn an_export_refuses_two_tensors_of_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    store.put(5, &Tensor::from_slice(&[2], &[1_u8, 2]).unwrap()).unwrap();
    store.put("5", &Tensor::from_slice(&[3], &[1_u8, 2, 3]).unwrap()).unwrap();
    let path = dir.path().join("x.safetensors");
    let outcome = store.export_file(&path, &ExportOptions::new(), &Control::new());
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(!path.exists());
}

// Story: a wait "for ever" overflowed the clock and panicked, and a cache without bound overflowed a sum.
#[test]
fn the_largest_options_are_options() {
    let options = Options::new().lock_timeout(Duration::MAX).cache_bytes(u64::MAX);
    let store = Store::open_on(SimDisk::new().process(), &options, true).unwrap();
    put_bytes(&store, "a", b"x").unwrap();
    assert_eq!(store.get("a").unwrap().bytes().unwrap()[..], *b"x");
    let none = Store::open_on(SimDisk::new().process(), &Options::new().cache_bytes(0), true).unwrap();
    put_bytes(&none, "a", b"x").unwrap();
    assert_eq!(none.get("a").unwrap().bytes().unwrap()[..], *b"x");
}

// Story: an empty query, or one whose answer is too large for SQLite, was reported as a defect of the library.
#[test]
fn what_is_wrong_with_a_query_is_the_querys_fault() {
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    for sql in ["", "  -- nothing", "SELECT zeroblob(2000000000)", "SELECT abs(-9223372036854775808)", "SELECT ?1 +"] {
        assert_eq!(store.query(sql, 10).unwrap_err().kind(), ErrorKind::InvalidArgument, "{sql}");
    }
}

// Story: a scale that is not finite was written as JSON's null. The key could not be read again, no listing that came
// across it could, and a rebuild lost the whole commit.
#[test]
fn a_scale_must_be_a_number_that_can_be_written() {
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    for scale in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let encoding = tensoratom::Encoding::Quantized { block: 0, scale: vec![scale], zero_point: vec![] };
        let tensor = Tensor::encoded(DType::I8, &[2], encoding, &[1, 2]).unwrap();
        assert_eq!(store.put("q", &tensor).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert!(store.list(&ListOptions::new()).unwrap().is_empty());
}

// Story: exporting to /dev/null as root replaced the device by a file, for the whole machine.
#[test]
fn an_export_replaces_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    put_bytes(&store, "a", b"x").unwrap();
    let target = dir.path().join("target");
    let link = dir.path().join("link.npy");
    fs::write(&target, b"old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    store.snapshot().unwrap().export_npy("a", &link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "a link stays a link");
    assert_ne!(fs::read(&target).unwrap(), b"old");
    let device = dir.path().join("device.npy");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    for path in [&device, &dir.path().to_path_buf()] {
        assert!(store.snapshot().unwrap().export_npy("a", path).is_err());
    }
    assert!(fs::symlink_metadata(&device).unwrap().is_symlink());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing partial is left");
}

// Story: two threads that exported to one name wrote into one temporary file, and renamed a mixture of the two.
#[test]
fn two_exports_to_one_name_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    for (key, byte) in [("a", 1_u8), ("b", 2)] {
        put_bytes(&store, key, &vec![byte; 12 << 20]).unwrap();
    }
    let path = dir.path().join("x.npy");
    for _ in 0..6 {
        std::thread::scope(|scope| {
            for key in ["a", "b"] {
                let (store, path) = (&store, &path);
                scope.spawn(move || store.snapshot().unwrap().export_npy(key, path).unwrap());
            }
        });
        let bytes = fs::read(&path).unwrap();
        let data = &bytes[bytes.len() - (12 << 20)..];
        assert!(data.iter().all(|byte| *byte == data[0]), "a mixture");
    }
}

// Story: the format test of the import, so that the helper above is a sound file.
#[test]
fn the_large_file_of_these_tests_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.bin");
    one_tensor_file(&path, 100);
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    let options = ImportOptions::new().format(FileFormat::Safetensors);
    assert_eq!(store.import_file(&path, &options, &Control::new()).unwrap().payload_bytes, 100);
}

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

// Story: payloads that leave a quarter of a segment free never filled one, so that each left an open segment with two
// file handles and its preallocated space behind, until the process had no handles left.
#[test]
fn open_segments_do_not_pile_up() {
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &small_options(Durability::Process), true).unwrap();
    let mut random = Random::new(1);
    for i in 0..100 {
        put_bytes(&store, &format!("{i}"), &random.bytes(80_000)).unwrap();
    }
    let open = store.query("SELECT count(*) FROM segments WHERE state = 'open'", 10).unwrap();
    let tensoratom::SqlValue::Integer(open) = open.rows[0][0] else { panic!("{open:?}") };
    assert!(open <= 65, "{open} segments are open");
    assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
}

// Story: every segment ever read kept two file handles and a map. A store of 150 GB used up the 1,024 handles a process
// usually has, and then nothing could be read any more.
#[cfg(unix)]
#[test]
fn more_segments_than_file_handles_can_be_read() {
    if std::env::var_os("TENSORATOM_FEW_HANDLES").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "more_segments_than_file_handles_can_be_read"])
            .env("TENSORATOM_FEW_HANDLES", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    assert!(limit_handles(160));
    let dir = tempfile::tempdir().unwrap();
    let options = small_options(Durability::Process);
    let store = Store::create(dir.path().join("s"), &options).unwrap();
    let mut random = Random::new(1);
    let keys: Vec<String> = (0..150).map(|i| format!("{i:03}")).collect();
    for key in &keys {
        put_bytes(&store, key, &random.bytes(120_000)).unwrap();
    }
    drop(store);
    let store = Store::open(dir.path().join("s"), &options).unwrap();
    for round in 0..2 {
        for key in &keys {
            assert_eq!(store.get(key).unwrap().bytes().unwrap().len(), 120_000, "{key} in round {round}");
        }
    }
    assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
}

/// Lowers the number of files this process may have open.
#[cfg(unix)]
fn limit_handles(files: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
    // SAFETY: `setrlimit` reads one live structure.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 }
}

// Story: a service stored atoms from the tasks of its own rayon pool. Whoever led a group of commits handed the hashing to
// the store's pool and, waiting, took up another of its pool's tasks, which waited for the leader: for ever.
#[test]
fn tasks_of_another_pool_can_commit() {
    let (done, outcome) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use rayon::prelude::*;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let options = Options::new().chunk_bytes(4096).threads(2);
        let store = Store::open_on(SimDisk::new().process(), &options, true).unwrap();
        pool.install(|| {
            (0..400_u64).into_par_iter().for_each(|i| {
                put_bytes(&store, &format!("{i}"), &Random::new(i).bytes(100_000)).unwrap();
            });
        });
        let _ = done.send(store.list(&ListOptions::new()).unwrap().len());
    });
    assert_eq!(outcome.recv_timeout(Duration::from_secs(60)), Ok(400), "the commits wait for each other");
}

// Story: a key whose payload was damaged was remembered with the place of the damaged copy. Storing the same bytes under
// another key brought a sound copy, but the first key went on failing until the process ended.
#[test]
fn a_new_copy_heals_every_key_of_the_payload() {
    let disk = SimDisk::new();
    let bytes = Random::new(3).bytes(5_000);
    let store = Store::open_on(disk.process(), &Options::new(), true).unwrap();
    put_bytes(&store, "a", &bytes).unwrap();
    put_bytes(&store, "b", &bytes).unwrap();
    drop(store);
    disk.tamper("segments/00000001.seg", |file| {
        let at = file.windows(64).position(|window| *window == bytes[..64]).unwrap();
        file[at] ^= 1;
    });
    let store = Store::open_on(disk.process(), &Options::new(), false).unwrap();
    let other = Store::open_on(disk.process(), &Options::new(), false).unwrap();
    for store in [&store, &other] {
        for key in ["a", "b"] {
            assert_eq!(store.get(key).unwrap().bytes().unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
    put_bytes(&store, "a", &bytes).unwrap();
    for store in [&store, &other] {
        for key in ["a", "b"] {
            assert_eq!(store.get(key).unwrap().bytes().unwrap()[..], bytes[..], "{key}");
        }
    }
}

// Story: a commit without full durability made a new segment; a later durable one, in another segment, synced the first
// one's bytes and not its name. After a power cut the durable commit was there and the one before it damaged.
#[test]
fn a_durable_commit_makes_the_names_of_earlier_segments_durable() {
    let disk = SimDisk::new();
    let full = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
    put_bytes(&full, "zero", &[0; 100]).unwrap();
    let process = Store::open_on(disk.process(), &small_options(Durability::Process), false).unwrap();
    put_bytes(&process, "one", &[1; 5_000]).unwrap();
    put_bytes(&full, "two", &[2; 100]).unwrap();
    let after = SimDisk::from_image(&disk.power_cut(|_| 0));
    let store = Store::open_on(after.process(), &small_options(Durability::Full), false).unwrap();
    assert_eq!(store.get("two").unwrap().bytes().unwrap()[..], [2; 100]);
    assert_eq!(store.get("one").unwrap().bytes().unwrap()[..], [1; 5_000]);
}

// Story: commits without full durability were lost in a power cut together with a durable commit in the making, whose
// record had reached the disk. It looked like the trace of a catalog that had lost commits, and the store was refused.
#[test]
fn a_durable_commit_cut_short_after_lost_ones_is_not_missed() {
    let mut cuts = 0;
    for at in 1.. {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full);
        put_bytes(&Store::open_on(disk.process(), &options, true).unwrap(), "zero", &[0; 100]).unwrap();
        let victim = disk.process();
        let (volume, plan) = FaultVolume::new(Arc::clone(&victim) as Arc<dyn Volume>);
        let full = Store::open_on(volume, &options, false).unwrap();
        // Both take a segment of their own, now that the first is taken.
        put_bytes(&full, "first", &[0; 100]).unwrap();
        let process = Store::open_on(disk.process(), &small_options(Durability::Process), false).unwrap();
        put_bytes(&process, "one", &[1; 5_000]).unwrap();
        plan.kill_with(victim);
        plan.arm(Fault { at, sticky: false, kind: FaultKind::Kill }, |call| call.contains("sync"));
        let acknowledged = put_bytes(&full, "two", &[2; 100]).is_ok();
        let ended = plan.hit().is_none();
        let after = SimDisk::from_image(&disk.power_cut(|_| 0));
        let store = Store::open_on(after.process(), &options, false).unwrap_or_else(|e| panic!("at sync {at}: {e}"));
        assert_eq!(store.get("first").unwrap().bytes().unwrap()[..], [0; 100]);
        assert!(store.exists("two").unwrap() || !acknowledged);
        assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound(), "at sync {at}");
        if ended {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 3);
}

// Story: the sync of an earlier, not yet durable commit failed; so did the durable commit that needed it. The next
// durable commit synced the same file again, was told that all is well, and called the lost bytes durable.
#[test]
fn a_failed_sync_of_an_earlier_commit_is_not_tried_again() {
    let disk = SimDisk::new();
    let full = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
    put_bytes(&full, "zero", &[0; 100]).unwrap();
    let process = Store::open_on(disk.process(), &small_options(Durability::Process), false).unwrap();
    put_bytes(&process, "one", &[1; 5_000]).unwrap();
    disk.fail_sync(2); // the first is that of the durable commit's own segment
    assert_eq!(put_bytes(&full, "two", &[2; 100]).unwrap_err().kind(), ErrorKind::Io);
    assert!(!disk.is_sync_failure_pending());
    let acknowledged = put_bytes(&full, "three", &[3; 100]).is_ok();
    let after = SimDisk::from_image(&disk.power_cut(|_| 0));
    let store = Store::open_on(after.process(), &small_options(Durability::Full), false).unwrap();
    if acknowledged {
        assert_eq!(store.get("three").unwrap().bytes().unwrap()[..], [3; 100]);
    }
    for info in store.list(&ListOptions::new()).unwrap() {
        store.get(&info.key).unwrap().bytes().unwrap();
    }
}

// Story: after a power cut a reader was the first to open the store. The writer that came next was not alone, skipped
// the recovery, and commits that had lost their bytes stayed for good, hiding the sound versions before them.
#[test]
fn lost_commits_are_taken_back_even_beside_a_reader() {
    let disk = SimDisk::new();
    let full = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
    put_bytes(&full, "key", &[1; 5_000]).unwrap();
    put_bytes(&full, "other", &[1; 10]).unwrap();
    let process = Store::open_on(disk.process(), &small_options(Durability::Process), false).unwrap();
    put_bytes(&process, "key", &[2; 5_000]).unwrap();
    // The catalog's log survived by chance, the segment's new bytes did not.
    let mut image = disk.image();
    for (name, bytes) in &mut image.files {
        if name.ends_with(".seg") && bytes.windows(5_000).any(|window| *window == [2; 5_000]) {
            let at = bytes.windows(5_000).position(|window| *window == [2; 5_000]).unwrap();
            bytes[at..at + 5_000].fill(0);
        }
    }
    let after = SimDisk::from_image(&image);
    let reader = Store::open_on(after.process(), &Options::new().read_only(true), false).unwrap();
    assert!(reader.get("key").unwrap().bytes().is_err());
    assert_eq!(reader.get("other").unwrap().bytes().unwrap()[..], [1; 10]);
    let writer = Store::open_on(after.process(), &small_options(Durability::Full), false).unwrap();
    assert_eq!(writer.get("key").unwrap().bytes().unwrap()[..], [1; 5_000]);
    // The reader must not take the number of the lost commit for the new one's.
    put_bytes(&writer, "other", &[3; 10]).unwrap();
    assert_eq!(reader.get("other").unwrap().bytes().unwrap()[..], [3; 10]);
    assert_eq!(reader.get("key").unwrap().bytes().unwrap()[..], [1; 5_000]);
}

// Story: the shared index of SQLite's log grows after the log holds the commit. With the disk full just then the commit
// was called failed and its payloads were cut off; after a crash the log was replayed and the commit was there without them.
#[test]
fn a_commit_that_the_log_holds_keeps_its_payloads_on_a_full_disk() {
    let disk = SimDisk::new();
    let victim = disk.process();
    let (volume, plan) = FaultVolume::new(Arc::clone(&victim) as Arc<dyn Volume>);
    let store = Store::open_on(volume, &Options::new().threads(1), true).unwrap();
    put_bytes(&store, "key", b"old").unwrap();
    let mut txn = store.begin().unwrap();
    let metadata = format!(r#"{{"x":"{}"}}"#, "y".repeat(900_000));
    for i in 0..20 {
        let options = PutOptions::new().metadata(metadata.clone());
        txn.put_with(format!("m{i}").as_str(), &Tensor::from_slice(&[1], &[i as u8]).unwrap(), &options).unwrap();
    }
    txn.put("key", &Tensor::from_slice(&[3], b"new").unwrap()).unwrap();
    plan.arm(Fault { at: 1, sticky: false, kind: FaultKind::Error(libc::ENOSPC) }, |call| call == "shared_memory");
    let outcome = txn.commit();
    assert_eq!(plan.hit(), Some("shared_memory"), "the log's index did not grow: {outcome:?}");
    assert!(outcome.is_err());
    victim.kill();
    drop(store);
    let store = Store::open_on(disk.process(), &Options::new(), false).unwrap();
    let bytes = store.get("key").unwrap().bytes().unwrap();
    assert!(bytes[..] == *b"old" || bytes[..] == *b"new");
    assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
}

// Story: a process died after its commit had reached a new segment. The next open put the commit into the catalog and
// called it durable, without syncing the segment's name: after a power cut the commit was there and its segment was not.
#[test]
fn what_a_recovery_rolls_forward_survives_a_power_cut() {
    let mut rolled_forward = 0;
    for at in 1.. {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full);
        put_bytes(&Store::open_on(disk.process(), &options, true).unwrap(), "old", &[1; 100_000]).unwrap();
        let victim = disk.process();
        let (volume, plan) = FaultVolume::new(Arc::clone(&victim) as Arc<dyn Volume>);
        let store = Store::open_on(volume, &options, false).unwrap();
        put_bytes(&store, "small", &[1; 10]).unwrap(); // takes the first segment over, and syncs the directory for it
        plan.kill_with(victim);
        plan.arm(Fault { at, sticky: false, kind: FaultKind::Kill }, |call| call != "read_at");
        let acknowledged = put_bytes(&store, "new", &[2; 100_000]).is_ok();
        drop(store);
        if plan.hit().is_none() {
            break;
        }
        let store = Store::open_on(disk.process(), &options, false).unwrap();
        let seen = store.exists("new").unwrap();
        rolled_forward += usize::from(seen && !acknowledged);
        // Before the store is closed, which would sync more.
        let after = SimDisk::from_image(&disk.power_cut(|_| 0));
        let store = Store::open_on(after.process(), &options, false).unwrap();
        assert_eq!(store.exists("new").unwrap(), seen, "killed at call {at}");
        assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound(), "killed at call {at}");
    }
    assert!(rolled_forward > 0);
}

// Story: a store whose catalog file was gone answered "unable to open database file", as if the device had failed, and
// said nothing of the repair that brings it back.
#[test]
fn a_missing_catalog_is_named_and_can_be_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let store = Store::create(&path, &Options::new()).unwrap();
    put_bytes(&store, "a", b"x").unwrap();
    drop(store);
    for name in fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()) {
        if name.file_name().unwrap().to_str().unwrap().starts_with("catalog") {
            fs::remove_file(name).unwrap();
        }
    }
    assert_eq!(Store::open(&path, &Options::new()).unwrap_err().kind(), ErrorKind::CatalogCorrupt);
    let options = tensoratom::RepairOptions::new().rebuild_catalog(true);
    tensoratom::repair(&path, &options, &Control::new()).unwrap();
    assert_eq!(Store::open(&path, &Options::new()).unwrap().get("a").unwrap().bytes().unwrap()[..], *b"x");
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

/// A process that may read a directory and not write to it.
#[derive(Debug)]
struct Guest(Arc<tensoratom::testing::SimProcess>);

impl Volume for Guest {
    fn open(&self, name: &str, how: Open) -> io::Result<Arc<dyn File>> {
        if how == Open::Read { self.0.open(name, how) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
    fn create_dir(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.0.list(dir)
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.0.exists(name)
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn medium(&self) -> io::Result<Medium> {
        self.0.medium()
    }
    fn is_read_only(&self) -> bool {
        true
    }
    fn is_world_writable(&self) -> io::Result<bool> {
        Ok(false)
    }
    fn identity(&self) -> Identity {
        self.0.identity()
    }
    fn boot_id(&self) -> u128 {
        self.0.boot_id()
    }
    fn now_us(&self) -> i64 {
        self.0.now_us()
    }
    fn random(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.0.random(buffer)
    }
}

// Story: a user who may read a store and not write to it opened it while nobody else had it open. SQLite's log and shared
// memory did not exist then, and were never looked for again: what a writer committed later was not seen, and pages of
// two states of the catalog were mixed.
#[test]
fn a_reader_without_write_permission_sees_the_writer_that_comes_later() {
    let disk = SimDisk::new();
    put_bytes(&Store::open_on(disk.process(), &Options::new(), true).unwrap(), "a", b"first").unwrap();
    let guest = Store::open_on(Arc::new(Guest(disk.process())), &Options::new(), false).unwrap();
    assert_eq!(guest.get("a").unwrap().bytes().unwrap()[..], *b"first");
    for round in 0..3 {
        let writer = Store::open_on(disk.process(), &Options::new(), false).unwrap();
        for i in 0..40 {
            put_bytes(&writer, &format!("{round}/{i}"), format!("{round} {i}").as_bytes()).unwrap();
        }
        put_bytes(&writer, "a", format!("round {round}").as_bytes()).unwrap();
        let read = guest.get("a").unwrap().bytes().unwrap();
        assert_eq!(read[..], *format!("round {round}").as_bytes());
        assert_eq!(guest.list(&ListOptions::new()).unwrap().len(), 40 * (round + 1) + 1);
        drop(writer);
        assert_eq!(guest.list(&ListOptions::new()).unwrap().len(), 40 * (round + 1) + 1);
    }
}

// Story: a file in the segment folder that the catalog does not know was deleted at the next open unless its header
// named this store: somebody's only copy of another store's segment, put there by mistake, or one whose header had rotted.
#[test]
fn files_that_are_no_unfinished_segments_of_ours_are_left_alone() {
    let disk = SimDisk::new();
    drop(Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap());
    let other = SimDisk::new();
    let store = Store::open_on(other.process(), &small_options(Durability::Full), true).unwrap();
    put_bytes(&store, "a", &[1; 500]).unwrap();
    drop(store);
    let mut image = disk.image();
    let foreign = other.image().files["segments/00000001.seg"].clone();
    let mut rotten = foreign.clone();
    rotten[20] ^= 1;
    image.files.insert("segments/00000007.seg".into(), foreign);
    image.files.insert("segments/00000008.seg".into(), rotten);
    image.files.insert("segments/00000003.seg".into(), vec![0; 65_536]);
    image.files.insert("segments/18446744073709551615.seg".into(), vec![0; 65_536]);
    let disk = SimDisk::from_image(&image);
    let store = Store::open_on(disk.process(), &small_options(Durability::Full), false).unwrap();
    put_bytes(&store, "a", &[1; 500]).unwrap();
    let files = disk.image().files;
    assert!(files.contains_key("segments/00000007.seg") && files.contains_key("segments/00000008.seg"));
    assert!(!files.contains_key("segments/00000003.seg"), "a segment that was never finished is removed");
    let stat = store.stat().unwrap();
    assert_eq!(stat.accounted.total(), stat.disk_bytes);
}

// Story: exporting to /dev/null as root replaced the device by a file, for the whole machine.
#[cfg(unix)]
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

// Story: the only way to see all atoms was a vector of all of them, or paging by hand.
#[test]
fn a_listing_of_any_length_can_be_walked() {
    let store = Store::open_on(SimDisk::new().process(), &Options::new(), true).unwrap();
    let mut txn = store.begin().unwrap();
    for i in 0..2_500_i64 {
        txn.put(i, &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
    }
    txn.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    store.delete(7).unwrap();
    for limit in [0, 1, 1024, 1025, 2_500, 9_999] {
        let options = ListOptions::new().limit(limit);
        let walked: Vec<_> = snapshot.iter(&options).map(|info| info.unwrap().key).collect();
        let listed: Vec<_> = snapshot.list(&options).unwrap().into_iter().map(|info| info.key).collect();
        assert_eq!(walked, listed);
        assert_eq!(walked.len(), limit.min(2_500));
    }
}

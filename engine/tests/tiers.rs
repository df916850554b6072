//! Moves between tiers as callers see them: the same bytes everywhere, less space when cold, other processes undisturbed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::check_integrity;
use tensoratom::testing::random::Random;
use tensoratom::{
    Control, DType, Durability, ErrorKind, ListOptions, Options, Progress, ReadMode, RepairOptions, SqlValue, Store,
    Tensor, Tier,
};

/// Weights as training leaves them: exponents in a narrow band, mantissas at random.
fn weights(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut one = || (random.below(2_000_001) as f32 - 1e6) * 5e-8;
    (0..count).flat_map(|_| one().to_le_bytes()).collect()
}

fn put(store: &Store, key: &str, bytes: &[u8]) {
    let tensor = Tensor::new(DType::F32, &[bytes.len() as u64 / 4], bytes).unwrap();
    store.put(key, &tensor).unwrap();
}

fn move_all(store: &Store, prefix: &str, tier: Tier) -> tensoratom::MoveReport {
    store.move_to_tier(None, prefix, tier, &Control::new()).unwrap()
}

fn filled(options: &Options) -> (tempfile::TempDir, Store, Vec<(String, Vec<u8>)>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), options).unwrap();
    let atoms: Vec<_> = (0..6).map(|i| (format!("m/{i}"), weights(1 + i * 7_001, i as u64))).collect();
    atoms.iter().for_each(|(key, bytes)| put(&store, key, bytes));
    (dir, store, atoms)
}

fn check(store: &Store, atoms: &[(String, Vec<u8>)]) {
    for (key, bytes) in atoms {
        assert_eq!(*store.get(key.as_str()).unwrap().bytes().unwrap(), **bytes, "{key}");
    }
}

// A tensor that came back from cold with other bytes, or a range that was cut from the wrong chunk, would be the end of
// all trust; and a cold copy that takes as much space is for nothing.
#[test]
fn bytes_are_the_same_in_every_tier_and_mode_and_cold_ones_take_less_space() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let (_dir, store, atoms) = filled(&Options::new().chunk_bytes(4096).read_mode(mode));
        let before: Vec<_> = atoms.iter().map(|(key, _)| store.get(key.as_str()).unwrap()).collect();
        let report = move_all(&store, "m/", Tier::Cold);
        assert_eq!(report.payloads_moved, 6);
        assert!(report.stored_bytes_after < report.stored_bytes_before, "{report:?}");
        assert!(store.list(&ListOptions::new()).unwrap().iter().all(|info| info.tier == Some(Tier::Cold)));
        check(&store, &atoms);
        for (payload, (key, bytes)) in before.iter().zip(&atoms) {
            assert_eq!(*payload.bytes().unwrap(), **bytes, "a handle on the old copy of {key}");
            for range in [0..1, 1..bytes.len() / 2, bytes.len() / 3..bytes.len(), bytes.len()..bytes.len()] {
                let wanted = &bytes[range.clone()];
                let cold = store.get(key.as_str()).unwrap();
                let range = range.start as u64..range.end as u64;
                assert_eq!(*cold.range(range.clone()).unwrap(), *wanted, "{key} {range:?}");
            }
        }
        assert_eq!(move_all(&store, "", Tier::Cold).payloads_there, 6, "a second time there is nothing to do");
        check_integrity(&store).unwrap();
        assert_eq!(move_all(&store, "m/", Tier::Warm).payloads_moved, 6);
        assert!(store.list(&ListOptions::new()).unwrap().iter().all(|info| info.tier == Some(Tier::Warm)));
        check(&store, &atoms);
        check_integrity(&store).unwrap();
    }
}

// A cold copy whose damage reaches the decoder unnoticed would be returned as good bytes.
#[test]
fn a_damaged_cold_chunk_is_an_error_and_cannot_be_thawed_over() {
    let (dir, store, atoms) = filled(&Options::new().chunk_bytes(4096));
    move_all(&store, "m/5", Tier::Cold);
    let row = store.query("SELECT segment, offset FROM payloads WHERE tier = 'cold'", 1).unwrap().rows.remove(0);
    let [SqlValue::Integer(segment), SqlValue::Integer(offset)] = row[..] else { panic!("{row:?}") };
    drop(store);
    let path = dir.path().join(format!("s/segments/{segment:08}.seg"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[offset as usize + 9_000] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open(dir.path().join("s"), &Options::new()).unwrap();
    assert_eq!(store.get("m/5").unwrap().bytes().unwrap_err().kind(), ErrorKind::Corrupt);
    let error = store.move_to_tier(None, "m/5", Tier::Warm, &Control::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    check(&store, &atoms[..5]);
}

// A rebuilt catalog that forgot a move would look for payloads where they are no longer meant to be.
#[test]
fn a_catalog_rebuilt_from_segments_knows_where_moved_payloads_lie() {
    let (dir, store, atoms) = filled(&Options::new().chunk_bytes(4096));
    move_all(&store, "m/", Tier::Cold);
    move_all(&store, "m/3", Tier::Warm);
    drop(store);
    let path = dir.path().join("s");
    tensoratom::repair(&path, &RepairOptions::new().rebuild_catalog(true), &Control::new()).unwrap();
    let store = Store::open(&path, &Options::new()).unwrap();
    check(&store, &atoms);
    let tiers: Vec<_> = store.list(&ListOptions::new()).unwrap().iter().map(|info| info.tier.unwrap()).collect();
    assert_eq!(tiers.iter().filter(|&&tier| tier == Tier::Cold).count(), 5);
    check_integrity(&store).unwrap();
}

// A cancelled move that left a half-written copy behind, or could not be taken up again, would leak space for ever.
#[test]
fn a_cancelled_move_changes_nothing_and_can_be_run_again() {
    let (_dir, store, atoms) = filled(&Options::new().chunk_bytes(4096));
    let cancel = AtomicBool::new(false);
    let stop = |progress: Progress| cancel.store(progress.items_done >= 3, Ordering::Relaxed);
    let control = Control::new().progress(&stop).cancel(&cancel);
    let error = store.move_to_tier(None, "", Tier::Cold, &control).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(store.list(&ListOptions::new()).unwrap().iter().all(|info| info.tier == Some(Tier::Warm)));
    check_integrity(&store).unwrap();
    assert_eq!(move_all(&store, "", Tier::Cold).payloads_moved, 6);
    check(&store, &atoms);
}

// Old copies disappear from the catalog: a move that was not durable could lose both copies in a power cut.
#[test]
fn a_move_is_durable_even_where_commits_are_not() {
    let options = small_options(Durability::Process);
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let bytes = weights(5_000, 1);
    put(&store, "a", &bytes);
    move_all(&store, "", Tier::Cold);
    let disk = SimDisk::from_image(&disk.power_cut(|_| 0));
    let store = Store::open_on(disk.process(), &options, false).unwrap();
    assert_eq!(*store.get("a").unwrap().bytes().unwrap(), *bytes);
}

// Two processes that move the same payload must not both drop the copy they came from.
#[test]
fn two_processes_may_move_the_same_atoms_while_a_third_reads() {
    let options = small_options(Durability::Full);
    let disk = SimDisk::new();
    let stores: Vec<Store> = (0..3).map(|i| Store::open_on(disk.process(), &options, i == 0).unwrap()).collect();
    let atoms: Vec<_> = (0..8).map(|i| (format!("m/{i}"), weights(3_000, i as u64))).collect();
    atoms.iter().for_each(|(key, bytes)| put(&stores[0], key, bytes));
    let stores = Arc::new(stores);
    std::thread::scope(|scope| {
        for (i, store) in stores[..2].iter().enumerate() {
            scope.spawn(move || {
                for round in 0..4 {
                    let tier = if (round + i).is_multiple_of(2) { Tier::Cold } else { Tier::Warm };
                    match store.move_to_tier(None, "m/", tier, &Control::new()) {
                        Err(e) if !matches!(e.kind(), ErrorKind::Conflict) => panic!("{e:?}"),
                        _ => {}
                    }
                }
            });
        }
        for _ in 0..20 {
            check(&stores[2], &atoms);
        }
    });
    stores.iter().for_each(|store| check(store, &atoms));
    check_integrity(&stores[0]).unwrap();
}

// Dropping a copy that somebody else made meanwhile, unseen, would make "the last verified copy stays" a matter of luck.
#[test]
fn a_payload_already_moved_by_another_process_is_a_conflict() {
    let options = small_options(Durability::Full);
    let disk = SimDisk::new();
    let ours = Store::open_on(disk.process(), &options, true).unwrap();
    let theirs = Store::open_on(disk.process(), &options, false).unwrap();
    let bytes = weights(5_000, 1);
    put(&ours, "a", &bytes);
    let faster = |_: Progress| assert_eq!(move_all(&theirs, "a", Tier::Cold).payloads_moved, 1);
    let error = ours.move_to_tier(None, "a", Tier::Cold, &Control::new().progress(&faster)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for store in [&ours, &theirs] {
        assert_eq!(*store.get("a").unwrap().bytes().unwrap(), *bytes);
        check_integrity(store).unwrap();
    }
    assert_eq!(move_all(&ours, "a", Tier::Cold).payloads_there, 1);
}

// Story: a move's own sync failed and nobody was told. The next writer took the segment over, synced it again, was told
// that all is well, and commits made before without full durability were called durable although their bytes were lost.
#[test]
fn a_sync_that_fails_in_a_move_makes_the_segment_suspect_and_leaves_the_old_copy() {
    let options = small_options(Durability::Process);
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let bytes = weights(5_000, 1);
    put(&store, "a", &bytes);
    disk.fail_sync(1);
    let error = store.move_to_tier(None, "a", Tier::Cold, &Control::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let suspects = store.query("SELECT count(*) FROM segments WHERE suspect = 1", 1).unwrap().rows;
    assert_eq!(suspects[0][0], SqlValue::Integer(1));
    assert_eq!(store.get("a").unwrap().info().tier, Some(Tier::Warm));
    assert_eq!(*store.get("a").unwrap().bytes().unwrap(), *bytes);
}

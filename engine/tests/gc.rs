//! Reclaiming space as callers see it: the directory shrinks, nothing that is needed goes, readers are undisturbed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tensoratom::kernels::{Metric, Rows};
use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::{check_integrity, check_nothing_leaks, collect};
use tensoratom::testing::random::Random;
use tensoratom::{
    AsOf, Control, DType, Durability, ErrorKind, GcOptions, Options, ReadMode, RepairOptions, Store, Tensor, Tier,
    VerifyOptions,
};

/// Bytes that a codec makes much smaller.
fn soft(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|i| (i / 9 + seed) as u8).collect()
}

fn put(store: &Store, key: &str, bytes: &[u8]) -> u64 {
    store.put(key, &Tensor::new(DType::U8, &[bytes.len() as u64], bytes).unwrap()).unwrap()
}

fn get(store: &Store, key: &str) -> Vec<u8> {
    store.get(key).unwrap().bytes().unwrap().to_vec()
}

fn forget_all() -> GcOptions {
    GcOptions::new().dead_share(0.0).keep_history(Duration::ZERO)
}

// Freezing made the directory larger for ever: the old copies stayed.
#[test]
fn a_frozen_store_takes_less_space_after_gc_and_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new()).unwrap();
    let atoms: Vec<_> = (0..5_u64).map(|i| (format!("m/{i}"), soft(200_000, i))).collect();
    atoms.iter().for_each(|(key, bytes)| {
        put(&store, key, bytes);
    });
    store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
    let before = store.stat().unwrap();
    let foreseen = store.gc(&GcOptions::new().dry_run(true), &Control::new()).unwrap();
    assert_eq!(store.stat().unwrap().accounted, before.accounted, "a dry run changes nothing");
    let report = store.gc(&GcOptions::new(), &Control::new()).unwrap();
    assert_eq!((report.segments_deleted, report.segments_held), (1, 0), "{report:?}");
    assert_eq!(foreseen.payloads_moved, report.payloads_moved);
    let after = store.stat().unwrap();
    assert!(after.disk_bytes + 900_000 < before.disk_bytes, "{before:?} {after:?}");
    atoms.iter().for_each(|(key, bytes)| assert_eq!(get(&store, key), *bytes));
    check_integrity(&store).unwrap();
    let again = store.gc(&GcOptions::new(), &Control::new()).unwrap();
    assert_eq!(again.segments_condemned, 0, "a second time there is nothing to do: {again:?}");
}

// A log of commits that went with its segment would be missed only by the rebuild that needs it.
#[test]
fn a_catalog_rebuilt_after_gc_is_the_same_history_included() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let store = Store::create(&path, &small_options(Durability::Full)).unwrap();
    for i in 0..12 {
        put(&store, &format!("a{}", i % 4), &Random::new(i).bytes(30_000 + i as usize));
    }
    let old = store.lsn().unwrap();
    store.delete("a1").unwrap();
    store.move_to_tier(None, "a2", Tier::Cold, &Control::new()).unwrap();
    collect(&store, false).unwrap();
    let kept = store.snapshot_at(AsOf::Lsn(old)).unwrap();
    put(&store, "a3", &soft(9_000, 3));
    let report = collect(&store, true).unwrap();
    assert!(report.forgotten > 0 && report.segments_deleted > 0, "{report:?}");
    let names = "SELECT key, lsn_from, lsn_to, digest FROM versions ORDER BY 1, 2";
    let before = store.query(names, 1000).unwrap();
    let a1 = kept.get("a1").unwrap().bytes().unwrap().to_vec();
    drop(kept);
    drop(store);
    tensoratom::repair(&path, &RepairOptions::new().rebuild_catalog(true), &Control::new()).unwrap();
    let store = Store::open(&path, &Options::new()).unwrap();
    assert_eq!(store.query(names, 1000).unwrap().rows, before.rows);
    assert_eq!(*store.snapshot_at(AsOf::Lsn(old)).unwrap().get("a1").unwrap().bytes().unwrap(), *a1);
    assert_eq!(store.snapshot_at(AsOf::Lsn(old - 1)).unwrap_err().kind(), ErrorKind::Forgotten);
    check_integrity(&store).unwrap();
    check_nothing_leaks(&store).unwrap();
}

// The only commit that says where a payload lies may be damaged after gc deleted the place that an older one names: the
// live catalog served the payload, and a rebuild called it lost.
#[test]
fn a_rebuild_finds_payloads_whose_move_was_logged_in_a_damaged_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let store = Store::create(&path, &small_options(Durability::Full)).unwrap();
    let atoms: Vec<_> = (0..4_u64).map(|i| (format!("m/{i}"), soft(50_000, i))).collect();
    atoms.iter().for_each(|(key, bytes)| {
        put(&store, key, bytes);
    });
    put(&store, "warm", &Random::new(1).bytes(9_000));
    store.move_to_tier(None, "m/", Tier::Cold, &Control::new()).unwrap();
    let moved = store.lsn().unwrap();
    put(&store, "after", b"the commit behind the move");
    assert!(store.gc(&GcOptions::new().dead_share(0.0), &Control::new()).unwrap().segments_deleted > 0);
    let place = store.query(&format!("SELECT segment, offset FROM commits WHERE lsn = {moved}"), 1).unwrap();
    let [tensoratom::SqlValue::Integer(segment), tensoratom::SqlValue::Integer(offset)] = place.rows[0][..] else {
        panic!("{place:?}")
    };
    drop(store);
    let file = path.join(format!("segments/{segment:08}.seg"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[offset as usize + 20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let options = RepairOptions::new().rebuild_catalog(true);
    for _ in 0..2 {
        // A second time: what was adopted is in no commit either.
        let report = tensoratom::repair(&path, &options, &Control::new()).unwrap();
        assert_eq!((report.payloads_adopted, &report.commits_missing[..]), (4, &[(moved, moved)][..]), "{report:?}");
    }
    let store = Store::open(&path, &Options::new()).unwrap();
    atoms.iter().for_each(|(key, bytes)| assert_eq!(get(&store, key), *bytes));
    assert_eq!(store.get("m/0").unwrap().info().tier, Some(Tier::Cold));
    let damaged = store.verify(&VerifyOptions::new(), &Control::new()).unwrap().damaged;
    assert!(damaged.len() == 1 && damaged[0].key.is_none(), "the gap in the log and nothing else: {damaged:?}");
    // What was adopted is moved and reclaimed like anything else.
    store.move_to_tier(None, "m/", Tier::Warm, &Control::new()).unwrap();
    collect(&store, true).unwrap();
    atoms.iter().for_each(|(key, bytes)| assert_eq!(get(&store, key), *bytes));
    check_nothing_leaks(&store).unwrap();
}

// A segment deleted under a handle would be an error in the middle of somebody's work, or a signal.
#[test]
fn a_handle_keeps_its_segment_until_it_is_dropped_in_both_read_modes() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full).read_mode(mode);
        let store = Store::open_on(disk.process(), &options, true).unwrap();
        let other = Store::open_on(disk.process(), &options, false).unwrap();
        let bytes = soft(100_000, 1);
        put(&store, "a", &bytes);
        // One that was never touched, in each process.
        let (own, foreign) = (store.get("a").unwrap(), other.get("a").unwrap());
        store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
        let report = collect(&store, true).unwrap();
        assert_eq!((report.segments_deleted, report.segments_held), (0, 1), "{report:?}");
        assert!(store.stat().unwrap().accounted.held > 100_000);
        assert_eq!(*own.bytes().unwrap(), *bytes);
        assert_eq!(*foreign.bytes().unwrap(), *bytes);
        drop(own);
        assert_eq!(collect(&store, true).unwrap().segments_held, 1, "the other process still has it");
        drop(foreign);
        // It let go when it looked at the store again.
        assert_eq!(get(&other, "a"), bytes);
        let report = collect(&store, true).unwrap();
        assert_eq!((report.segments_deleted, report.segments_held), (1, 0), "{report:?}");
        assert_eq!(get(&other, "a"), bytes);
        check_nothing_leaks(&store).unwrap();
    }
}

// A process that remembered where a payload lay would report damage when it looks there after the segment is gone.
#[test]
fn a_reader_that_looked_before_the_segment_went_looks_again() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let other = Store::open_on(disk.process(), &options, false).unwrap();
    let bytes = soft(50_000, 1);
    for round in 0..6 {
        put(&store, &format!("a{round}"), &bytes);
        put(&store, &format!("b{round}"), &Random::new(round).bytes(40_000));
        store.delete(format!("b{round}").as_str()).unwrap();
        (0..=round).for_each(|i| assert_eq!(get(&other, &format!("a{i}")), bytes));
        collect(&store, true).unwrap();
        (0..=round).for_each(|i| assert_eq!(get(&other, &format!("a{i}")), bytes));
    }
    check_integrity(&other).unwrap();
}

// What a snapshot shows must not thin out under it; nor may a snapshot that cannot be shown whole be shown in part.
#[test]
fn forgotten_moments_are_typed_errors_and_snapshots_of_this_process_are_kept() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let other = Store::open_on(disk.process(), &options, false).unwrap();
    let first = put(&store, "a", &soft(5_000, 1));
    let second = put(&store, "a", &soft(5_000, 2));
    let own = store.snapshot_at(AsOf::Lsn(second)).unwrap();
    let foreign = other.snapshot_at(AsOf::Lsn(first)).unwrap();
    put(&store, "a", &soft(5_000, 3));
    put(&store, "gone", &soft(5_000, 4));
    store.delete("gone").unwrap();
    let report = store.gc(&forget_all(), &Control::new()).unwrap();
    assert_eq!(report.forgotten, 2, "{report:?}");
    assert_eq!(*own.get("a").unwrap().bytes().unwrap(), *soft(5_000, 2));
    assert_eq!(foreign.get("a").unwrap_err().kind(), ErrorKind::Forgotten);
    assert_eq!(foreign.list(&tensoratom::ListOptions::new()).unwrap_err().kind(), ErrorKind::Forgotten);
    assert_eq!(foreign.vector_sets().unwrap_err().kind(), ErrorKind::Forgotten);
    assert_eq!(store.snapshot_at(AsOf::Lsn(first)).unwrap_err().kind(), ErrorKind::Forgotten);
    drop(own);
    assert_eq!(store.gc(&forget_all(), &Control::new()).unwrap().forgotten, 1);
    assert_eq!(store.snapshot_at(AsOf::Lsn(second)).unwrap_err().kind(), ErrorKind::Forgotten);
    assert_eq!(get(&other, "a"), soft(5_000, 3));
    check_nothing_leaks(&store).unwrap();
}

// A nightly collection made deletes and renames of other processes fail that had begun before it, although nobody had
// changed what they meant.
#[test]
fn transactions_go_on_when_another_process_forgets_the_moment_they_began_at() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let other = Store::open_on(disk.process(), &options, false).unwrap();
    for key in ["kept", "changed", "d/1", "d/2", "gone"] {
        put(&store, key, &soft(500, 1));
    }
    let set = store.vectors("set", 1, DType::F32, Metric::Euclidean).unwrap();
    set.append(&[1, 2], Rows::of(1, &[1.0_f32, 2.0]).unwrap()).unwrap();
    let mut txn = other.begin().unwrap();
    put(&store, "changed", &soft(500, 2));
    put(&store, "d/2", &soft(500, 2));
    store.delete("gone").unwrap();
    set.delete(&[1]).unwrap();
    assert!(store.gc(&forget_all(), &Control::new()).unwrap().forgotten > 0);

    let kind = |error: tensoratom::Error| error.kind();
    assert_eq!(txn.get("changed").map_err(kind).unwrap_err(), ErrorKind::Forgotten, "what it shows is of one moment");
    assert_eq!(txn.rename("changed", "x").map_err(kind), Err(ErrorKind::Conflict), "as it would be at the commit");
    assert_eq!(txn.rename("gone", "x").map_err(kind), Err(ErrorKind::NotFound));
    assert_eq!(txn.rename("kept", "changed").map_err(kind), Err(ErrorKind::AlreadyExists));
    txn.rename("kept", "moved").unwrap();
    txn.set_metadata("moved", Some("{}")).unwrap();
    assert_eq!((txn.delete("changed").unwrap(), txn.delete("never").unwrap()), (true, false));
    assert_eq!(txn.delete_prefix(None, "d/").unwrap(), 2);
    txn.vectors("set").unwrap().append(&[1], Rows::of(1, &[7.0_f32]).unwrap()).unwrap();
    txn.commit().unwrap();
    let left = store.list(&tensoratom::ListOptions::new()).unwrap();
    assert_eq!(left.iter().map(|info| info.key.to_string()).collect::<Vec<_>>(), ["moved"]);
    assert_eq!(set.len().unwrap(), 2);
}

// History younger than the age asked for is what `as of yesterday` needs.
#[test]
fn history_younger_than_the_retention_stays() {
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
    let first = put(&store, "a", &soft(5_000, 1));
    put(&store, "a", &soft(5_000, 2));
    let report = store.gc(&GcOptions::new().keep_history(Duration::from_secs(3600)), &Control::new()).unwrap();
    assert_eq!(report.forgotten, 0);
    assert_eq!(*store.snapshot_at(AsOf::Lsn(first)).unwrap().get("a").unwrap().bytes().unwrap(), *soft(5_000, 1));
}

// A transaction that relies on a payload of history must not end up without it.
#[test]
fn a_put_that_found_its_payload_in_forgotten_history_fails_whole_or_stores_it() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let other = Store::open_on(disk.process(), &options, false).unwrap();
    let bytes = soft(60_000, 1);
    put(&store, "a", &bytes);
    store.delete("a").unwrap();
    let mut txn = other.begin().unwrap();
    txn.put("b", &Tensor::new(DType::U8, &[60_000], &bytes).unwrap()).unwrap();
    collect(&store, true).unwrap();
    match txn.commit() {
        Ok(_) => assert_eq!(get(&store, "b"), bytes),
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Conflict);
            assert!(!store.exists("b").unwrap());
            put(&other, "b", &bytes);
            assert_eq!(get(&store, "b"), bytes);
        }
    }
    check_integrity(&store).unwrap();
}

// Reclaiming that is stopped half-way must neither lose nor leak.
#[test]
fn a_cancelled_run_is_finished_by_the_next() {
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap();
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
    keys.iter().zip(0..).for_each(|(key, i)| {
        put(&store, key, &Random::new(i).bytes(30_000));
    });
    keys.iter().step_by(2).for_each(|key| assert!(store.delete(key.as_str()).unwrap()));
    let cancel = AtomicBool::new(false);
    let stop = |progress: tensoratom::Progress| cancel.store(progress.items_done >= 1, Ordering::Relaxed);
    let error = store.gc(&forget_all(), &Control::new().progress(&stop).cancel(&cancel)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    check_integrity(&store).unwrap();
    check_nothing_leaks(&store).unwrap();
    (1..20).step_by(2).for_each(|i| assert_eq!(get(&store, &format!("k{i}")), Random::new(i).bytes(30_000)));
}

// Two that reclaim at once would copy the same payloads; one that died must not keep the others out.
#[test]
fn only_one_reclaims_at_a_time() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    let other = Store::open_on(disk.process(), &options, false).unwrap();
    put(&store, "a", &soft(50_000, 1));
    put(&store, "b", &soft(50_000, 2));
    store.delete("a").unwrap();
    let inner = std::sync::Mutex::new(Vec::new());
    let during = |_: tensoratom::Progress| {
        inner.lock().unwrap().push(other.gc(&forget_all(), &Control::new()).map_err(|e| e.kind()));
    };
    store.gc(&forget_all(), &Control::new().progress(&during)).unwrap();
    let inner = inner.into_inner().unwrap();
    assert!(!inner.is_empty() && inner.iter().all(|outcome| *outcome == Err(ErrorKind::Busy)), "{inner:?}");
    other.gc(&forget_all(), &Control::new()).unwrap();
}

//! Policies, plans and maintenance as callers see them: statistics of use, moves of everything, pins, hot payloads.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tensoratom::kernels::{Metric, Rows};
use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::check_integrity;
use tensoratom::testing::random::Random;
use tensoratom::{
    ApplyReport, Control, DType, Durability, ErrorKind, ExportOptions, ImportOptions, ListOptions, Options, Progress,
    ReadMode, SearchOptions, SqlValue, Store, Tensor, Tier, TierPin, TierPlan, TierPolicy,
};

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.below(5) as u8).collect()
}

fn put(store: &Store, key: &str, bytes: &[u8]) {
    store.put(key, &Tensor::new(DType::U8, &[bytes.len() as u64], bytes).unwrap()).unwrap();
}

fn policy(text: &str) -> TierPolicy {
    TierPolicy::from_json(text).unwrap()
}

/// Everything that was not pinned goes to cold.
fn freeze_all() -> TierPolicy {
    policy(r#"{"rules": [{"tier": "cold"}], "min_bytes": 0}"#)
}

fn tier(store: &Store, key: &str) -> Tier {
    store.info(key).unwrap().tier.unwrap()
}

fn filled(keys: &[&str]) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new().chunk_bytes(4096)).unwrap();
    keys.iter().enumerate().for_each(|(i, key)| put(&store, key, &bytes(20_000, i as u64)));
    (dir, store)
}

fn maintain(store: &Store) -> ApplyReport {
    store.maintain(&Control::new()).unwrap().applied
}

/// A file with one tensor, as people download it.
fn safetensors(data: &[u8]) -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, data.len());
    let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    [&(padded.len() as u64).to_le_bytes()[..], padded.as_bytes(), data].concat()
}

// Vector sets, file headers and past versions that stay warm for ever fill the disk that freezing was to empty; frozen
// ones that give other answers are worse.
#[test]
fn everything_moves_and_everything_reads_searches_and_exports_as_before() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().chunk_bytes(4096).read_mode(mode);
        let store = Store::create(dir.path().join("s"), &options).unwrap();
        put(&store, "a", &bytes(9_000, 1));
        put(&store, "a", &bytes(9_000, 2));
        store.put(7, &Tensor::from_slice(&[3], &[1_i64, 2, 3]).unwrap()).unwrap();
        let file = dir.path().join("f.safetensors");
        std::fs::write(&file, safetensors(&bytes(30_000, 3))).unwrap();
        store.import_file(&file, &ImportOptions::new().prefix("m/"), &Control::new()).unwrap();
        let mut random = Random::new(4);
        let matrix: Vec<f32> = (0..3_000 * 32).map(|_| random.below(2001) as f32 * 1e-3 - 1.0).collect();
        let ids: Vec<i64> = (0..3_000).map(|i| i * 3).collect();
        let set = store.vectors("words", 32, DType::F32, Metric::SqEuclidean).unwrap();
        set.append(&ids, Rows::of(32, &matrix).unwrap()).unwrap();
        set.delete(&[3, 6]).unwrap();
        store.put("matrix", &Tensor::from_slice(&[3_000, 32], &matrix).unwrap()).unwrap();
        let query = Rows::of(32, &matrix[..64]).unwrap();
        let answers = |store: &Store| {
            let set = store.vectors("words", 32, DType::F32, Metric::SqEuclidean).unwrap();
            let stored = store.snapshot().unwrap().matrix("matrix", Metric::Cosine).unwrap();
            let full = SearchOptions::new().full_scan(true);
            [
                set.search(query, 9, &SearchOptions::new()).unwrap(),
                set.search(query, 9, &full).unwrap(),
                stored.search(query, 9, &SearchOptions::new()).unwrap(),
            ]
        };
        let warm = answers(&store);

        store.set_tier_policy(&freeze_all()).unwrap();
        let plan = store.plan().unwrap();
        let report = store.apply(&plan, &Control::new()).unwrap();
        assert_eq!((report.moved.payloads_moved, report.skipped), (plan.moves.len() as u64, 0));
        assert!(store.plan().unwrap().is_empty());
        let rest = store.query("SELECT count(*) FROM payloads WHERE tier <> 'cold'", 1).unwrap().rows.remove(0);
        assert_eq!(rest[0], SqlValue::Integer(0));
        let stat = store.stat().unwrap();
        assert_eq!((stat.tiers[0].payloads, stat.tiers[1].payloads), (0, stat.payloads));
        assert!(stat.tiers[1].ratio() > 1.1, "{:?}", stat.tiers);

        drop(store);
        let store = Store::open(dir.path().join("s"), &options).unwrap();
        assert_eq!(answers(&store), warm, "{mode:?}");
        let old = store.snapshot_at(tensoratom::AsOf::Lsn(1)).unwrap();
        assert_eq!(*old.get("a").unwrap().bytes().unwrap(), *bytes(9_000, 1));
        let out = dir.path().join("out.safetensors");
        store.export_file(&out, &ExportOptions::new().prefix("m/"), &Control::new()).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&file).unwrap());
        check_integrity(&store).unwrap();
        store.move_to_tier(None, "words", Tier::Warm, &Control::new()).unwrap();
        let warm_now = store.stat().unwrap().tiers[0].payloads;
        assert!(warm_now >= 3, "vectors, ids and deleted rows of the set, not {warm_now}");
        assert_eq!(answers(&store), warm);
    }
}

// Statistics that are lost at every restart, or that one process keeps from another, freeze what is in daily use.
#[test]
fn what_any_process_read_stays_warm_also_after_all_were_restarted() {
    let options = small_options(Durability::Full);
    let disk = SimDisk::new();
    let open = |create| Store::open_on(disk.process(), &options, create).unwrap();
    let first = open(true);
    for (i, key) in ["a", "b", "c"].iter().enumerate() {
        put(&first, key, &bytes(9_000, i as u64));
    }
    let others = [open(false), open(false)];
    others[0].get("a").unwrap().bytes().unwrap();
    others[1].get("b").unwrap().range(0..10).unwrap();
    drop(others);
    drop(first);
    let store = open(false);
    store.set_tier_policy(&policy(r#"{"hot_days": 1, "warm_days": 0}"#)).unwrap();
    assert_eq!(maintain(&store).moved.payloads_moved, 1);
    assert_eq!(["a", "b", "c"].map(|key| tier(&store, key)), [Tier::Warm, Tier::Warm, Tier::Cold]);
    store.get("c").unwrap().bytes().unwrap();
    assert_eq!(maintain(&store).moved.payloads_moved, 1, "what was read comes back");
    assert_eq!(tier(&store, "c"), Tier::Warm);
    check_integrity(&store).unwrap();
}

// A reader that writes would wait for writers, fail on a full disk, and fail where it may not write at all.
#[test]
fn reading_writes_nothing_until_the_store_is_closed_and_never_through_a_read_only_handle() {
    let (dir, store) = filled(&["a"]);
    let path = dir.path().join("s");
    drop(store);
    let log = |path: &std::path::Path| std::fs::metadata(path.join("catalog.tadb-wal")).map_or(0, |file| file.len());
    for read_only in [false, true] {
        let keeper = Store::open(&path, &Options::new().read_only(true)).unwrap();
        let store = Store::open(&path, &Options::new().read_only(read_only)).unwrap();
        let before = log(&path);
        (0..100).for_each(|_| assert_eq!(store.get("a").unwrap().bytes().unwrap().len(), 20_000));
        assert_eq!(log(&path), before);
        drop(store);
        assert_eq!(log(&path) > before, !read_only, "read-only: {read_only}");
        drop(keeper);
    }
}

// A plan is made, somebody works on, the plan is applied: what it says of the past must not be done to the present.
#[test]
fn a_stale_plan_moves_only_what_still_makes_sense_and_counts_the_rest() {
    let (_dir, store) = filled(&["deleted", "moved", "pinned", "still"]);
    store.set_tier_policy(&freeze_all()).unwrap();
    let plan = TierPlan::from_json(&store.plan().unwrap().to_json().unwrap()).unwrap();
    assert_eq!(plan.moves.len(), 4);
    store.move_to_tier(None, "moved", Tier::Cold, &Control::new()).unwrap();
    store.pin(&TierPin::key("", "pinned")).unwrap();
    put(&store, "new", &bytes(20_000, 9));
    store.delete("deleted").unwrap();
    let report = store.apply(&plan, &Control::new()).unwrap();
    // What was deleted is history, and history is moved as well.
    assert_eq!((report.moved.payloads_moved, report.skipped, report.damaged), (2, 2, 0));
    let tiers = ["moved", "new", "pinned", "still"].map(|key| tier(&store, key));
    assert_eq!(tiers, [Tier::Cold, Tier::Warm, Tier::Hot, Tier::Cold]);
    let again = store.apply(&plan, &Control::new()).unwrap();
    assert_eq!((again.moved.payloads_moved, again.skipped), (0, 4));
    check_integrity(&store).unwrap();
}

// One damaged tensor, first by name, would keep every night's job from ever freezing anything behind it.
#[test]
fn a_damaged_payload_stays_and_the_others_move() {
    let (dir, store) = filled(&["a", "b", "c"]);
    store.set_tier_policy(&freeze_all()).unwrap();
    let sql = "SELECT p.segment, p.offset FROM payloads p JOIN atoms a ON a.digest = p.digest WHERE a.key = 'a'";
    let row = store.query(sql, 1).unwrap().rows.remove(0);
    let [SqlValue::Integer(segment), SqlValue::Integer(offset)] = row[..] else { panic!("{row:?}") };
    drop(store);
    let path = dir.path().join(format!("s/segments/{segment:08}.seg"));
    let mut file = std::fs::read(&path).unwrap();
    file[offset as usize + 9_000] ^= 1;
    std::fs::write(&path, file).unwrap();
    let store = Store::open(dir.path().join("s"), &Options::new()).unwrap();
    let report = maintain(&store);
    assert_eq!((report.moved.payloads_moved, report.damaged, report.skipped), (2, 1, 0));
    assert_eq!(["a", "b"].map(|key| tier(&store, key)), [Tier::Warm, Tier::Cold]);
    assert_eq!(store.get("a").unwrap().bytes().unwrap_err().kind(), ErrorKind::Corrupt);
}

// A nightly job that is stopped in the morning must not have to begin at the beginning the next night.
#[test]
fn an_applied_plan_can_be_stopped_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new()).unwrap();
    let mut txn = store.begin().unwrap();
    for i in 0..1_500_i64 {
        txn.put(i, &Tensor::from_slice(&[2], &[i, i + 1]).unwrap()).unwrap();
    }
    txn.commit().unwrap();
    store.set_tier_policy(&freeze_all()).unwrap();
    let plan = store.plan().unwrap();
    let cancel = AtomicBool::new(false);
    let stop = |progress: Progress| cancel.store(progress.items_done >= 1_100, Ordering::Relaxed);
    let error = store.apply(&plan, &Control::new().progress(&stop).cancel(&cancel)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let report = store.apply(&plan, &Control::new()).unwrap();
    assert_eq!((report.skipped, report.moved.payloads_moved), (1_024, 1_500 - 1_024));
    check_integrity(&store).unwrap();
}

// Pins that only the process knows that set them would be undone by the nightly job of another.
#[test]
fn pins_are_seen_by_all_processes_and_bring_back_what_is_cold() {
    let options = small_options(Durability::Full);
    let disk = SimDisk::new();
    let stores = [true, false].map(|create| Store::open_on(disk.process(), &options, create).unwrap());
    put(&stores[0], "m/a", &bytes(9_000, 1));
    put(&stores[0], "x", &bytes(9_000, 2));
    stores[0].set_tier_policy(&freeze_all()).unwrap();
    maintain(&stores[0]);
    assert_eq!(tier(&stores[1], "m/a"), Tier::Cold);
    let pin = TierPin::prefix("", "m/");
    assert_eq!([stores[0].pin(&pin).unwrap(), stores[1].pin(&pin).unwrap()], [true, false]);
    let report = maintain(&stores[1]);
    assert_eq!(report.moved.payloads_moved, 1);
    for store in &stores {
        assert_eq!((tier(store, "m/a"), tier(store, "x")), (Tier::Hot, Tier::Cold));
        let listed: Vec<_> = store.list(&ListOptions::new()).unwrap().iter().map(|info| info.tier).collect();
        assert_eq!(listed, [Some(Tier::Hot), Some(Tier::Cold)]);
        assert_eq!(store.stat().unwrap().hot.payloads, 1);
    }
    assert_eq!([stores[1].unpin(&pin).unwrap(), stores[0].unpin(&pin).unwrap()], [true, false]);
    assert_eq!(tier(&stores[0], "m/a"), Tier::Warm);
    assert_eq!(maintain(&stores[0]).moved.payloads_moved, 1);
    assert_eq!(stores[1].tier_policy().unwrap(), freeze_all());
}

// The first request after a restart waited for the disk although the model was pinned for that very reason.
#[test]
fn what_is_pinned_is_in_memory_soon_after_the_store_was_opened() {
    let (dir, store) = filled(&["m/a", "m/b"]);
    store.pin(&TierPin::prefix("", "m/")).unwrap();
    drop(store);
    let store = Store::open(dir.path().join("s"), &Options::new()).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while store.stat().unwrap().hot_resident_bytes < 40_000 {
        assert!(Instant::now() < until, "{:?}", store.stat());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(store.stat().unwrap().hot.raw_bytes, 40_000);
    drop(store);
    // Closed at once, the store must not be kept open by its own thread.
    let options = Options::new().durability(Durability::Full);
    (0..20).for_each(|_| drop(Store::open(dir.path().join("s"), &options).unwrap()));
}

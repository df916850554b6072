//! Payloads coded against another one: the same bytes, a fraction of the space, and a base that stays as long as it is
//! needed.

use std::path::Path;

use tensoratom::kernels::{Metric, Rows};
use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::{check_integrity, check_nothing_leaks, collect};
use tensoratom::testing::random::Random;
use tensoratom::{
    Control, DType, Durability, ErrorKind, ExportOptions, MoveOptions, Options, PutOptions, ReadMode, RepairOptions,
    RepairReport, SearchOptions, SqlValue, Store, Tensor, Tier, TierPolicy, VerifyOptions, repair,
};

/// Weights as training leaves them, as bytes of a float type.
fn weights(dtype: DType, count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let values: Vec<f64> = (0..count).map(|_| (random.below(2_000_001) as f64 - 1e6) * 5e-8).collect();
    encode(dtype, &values)
}

/// The same weights after a little more training: each moved by a thousandth of itself at most.
fn tuned(dtype: DType, count: usize, seed: u64, by: u64) -> Vec<u8> {
    let (mut random, mut noise) = (Random::new(seed), Random::new(by));
    let mut value = || (random.below(2_000_001) as f64 - 1e6) * 5e-8 * (1.0 + (noise.below(2001) as f64 - 1e3) * 1e-6);
    let values: Vec<f64> = (0..count).map(|_| value()).collect();
    encode(dtype, &values)
}

fn encode(dtype: DType, values: &[f64]) -> Vec<u8> {
    let one = |&value: &f64| match dtype {
        DType::F64 => value.to_le_bytes().to_vec(),
        DType::F32 => (value as f32).to_le_bytes().to_vec(),
        DType::Bf16 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
        DType::F16 => half::f16::from_f64(value).to_le_bytes().to_vec(),
        // Their bit patterns are as good as any other: no arithmetic is done on them here.
        _ => vec![((value * 2e3) as i8) as u8],
    };
    values.iter().flat_map(one).collect()
}

const COUNT: usize = 9_001;

fn f32s(seed: u64) -> Vec<u8> {
    weights(DType::F32, COUNT, seed)
}

fn near(seed: u64, by: u64) -> Vec<u8> {
    tuned(DType::F32, COUNT, seed, by)
}

fn put_from(store: &Store, key: &str, dtype: DType, bytes: &[u8], parents: &[&str]) {
    let shape = [(bytes.len() as u64 * 8) / (dtype_bytes(dtype) * 8)];
    let options = PutOptions::new().parents(parents.iter().map(|&parent| parent.into()));
    store.put_with(key, &Tensor::new(dtype, &shape, bytes).unwrap(), &options).unwrap();
}

fn dtype_bytes(dtype: DType) -> u64 {
    match dtype {
        DType::F64 => 8,
        DType::F32 => 4,
        DType::F16 | DType::Bf16 => 2,
        _ => 1,
    }
}

fn put(store: &Store, key: &str, bytes: &[u8], parents: &[&str]) {
    put_from(store, key, DType::F32, bytes, parents);
}

fn freeze(store: &Store, prefix: &str) -> u64 {
    store.move_to_tier(None, prefix, Tier::Cold, &Control::new()).unwrap().deltas
}

fn thaw(store: &Store, prefix: &str) {
    store.move_to_tier(None, prefix, Tier::Warm, &Control::new()).unwrap();
}

fn get(store: &Store, key: &str) -> Vec<u8> {
    store.get(key).unwrap().bytes().unwrap().to_vec()
}

/// Digests of payloads with the digests of their bases.
fn links(store: &Store) -> Vec<(String, String)> {
    let rows = store.query("SELECT digest, base FROM payloads WHERE codec = 'delta' ORDER BY 1", 1000).unwrap().rows;
    let text = |value: &SqlValue| if let SqlValue::Text(text) = value { text.clone() } else { panic!("{value:?}") };
    rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
}

fn open(path: &Path) -> Store {
    Store::open(path, &Options::new()).unwrap()
}

/// A store with a base and what was made from it, in cold and coded against it.
fn filled() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new().chunk_bytes(4096)).unwrap();
    put(&store, "base/x", &f32s(1), &[]);
    put(&store, "ft/x", &near(1, 2), &["base/x"]);
    assert_eq!(freeze(&store, "ft/"), 1);
    (dir, store)
}

// A fine-tune that came back with a bit of its base, or a range added to another range of it, would be taken for a trained
// model.
#[test]
fn what_was_made_from_a_base_takes_a_fraction_and_reads_the_same_for_every_float_type() {
    let types = [
        (DType::F64, 1.1),
        (DType::F32, 1.5),
        (DType::F16, 1.8),
        (DType::Bf16, 3.0),
        (DType::F8E4M3, 3.0),
        (DType::F8E5M2, 3.0),
    ];
    for ((dtype, ratio), mode) in types.into_iter().zip([ReadMode::Mapped, ReadMode::Positioned].into_iter().cycle()) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new().chunk_bytes(4096).read_mode(mode);
        let store = Store::create(dir.path().join("s"), &options).unwrap();
        let (base, bytes) = (weights(dtype, COUNT, 1), tuned(dtype, COUNT, 1, 2));
        put_from(&store, "base", dtype, &base, &[]);
        put_from(&store, "tuned", dtype, &bytes, &["base"]);
        let before = store.get("tuned").unwrap();
        let report = store.move_to_tier(None, "tuned", Tier::Cold, &Control::new()).unwrap();
        assert_eq!((report.payloads_moved, report.deltas), (1, 1), "{dtype}");
        let found = report.raw_bytes as f64 / report.stored_bytes_after as f64;
        assert!(found > ratio, "{dtype}: ratio {found}");
        let check = |state: &str| {
            assert_eq!(get(&store, "tuned"), bytes, "{dtype}, {state}");
            assert_eq!(get(&store, "base"), base, "{dtype}, {state}");
            for range in [0..1, 4095..4097, bytes.len() / 3..bytes.len() - 1, bytes.len()..bytes.len()] {
                let found = store.get("tuned").unwrap().range(range.start as u64..range.end as u64).unwrap();
                assert_eq!(*found, bytes[range.clone()], "{dtype}, {state}, {range:?}");
                let mut copied = vec![0; range.len()];
                store.get("tuned").unwrap().read_into(range.start as u64, &mut copied).unwrap();
                assert_eq!(copied, bytes[range], "{dtype}, {state}");
            }
            check_integrity(&store).unwrap();
        };
        check("base warm");
        assert_eq!(freeze(&store, "base"), 0, "a base is coded against nothing");
        check("base cold");
        thaw(&store, "");
        assert!(links(&store).is_empty() && store.stat().unwrap().deltas.payloads == 0);
        check("both warm");
        assert_eq!(*before.bytes().unwrap(), *bytes, "a handle on the first copy");
    }
}

// Whoever deletes an old checkpoint and collects must not lose the new one with it; and what is kept for that must be
// explained, and go when it is no longer needed.
#[test]
fn a_base_stays_as_long_as_something_is_coded_against_it_and_no_longer() {
    let (_dir, store) = filled();
    store.delete("base/x").unwrap();
    let report = collect(&store, true).unwrap();
    assert!(report.forgotten > 0 && report.findings.is_empty(), "{report:?}");
    assert_eq!(get(&store, "ft/x"), near(1, 2));
    let accounted = store.stat().unwrap().accounted;
    assert!(accounted.bases > COUNT as u64 * 4 && accounted.history == 0, "{accounted:?}");
    check_integrity(&store).unwrap();
    check_nothing_leaks(&store).unwrap();
    // The same bytes are stored again as what is there already.
    put(&store, "base/again", &f32s(1), &[]);
    assert_eq!(store.stat().unwrap().accounted.bases, 0);
    store.delete("base/again").unwrap();
    collect(&store, true).unwrap();
    thaw(&store, "ft/");
    assert_eq!(get(&store, "ft/x"), near(1, 2));
    check_nothing_leaks(&store).unwrap();
    let accounted = store.stat().unwrap().accounted;
    assert!(accounted.bases == 0 && accounted.live < COUNT as u64 * 5, "{accounted:?}");
    check_integrity(&store).unwrap();
}

// With its base deleted, the last delta of it takes more than it would by itself; freezing again must find that.
#[test]
fn what_alone_keeps_its_base_is_coded_anew_when_it_is_frozen_again() {
    let (_dir, store) = filled();
    put(&store, "ft/y", &near(1, 3), &["ft/x"]);
    assert_eq!(freeze(&store, "ft/"), 1);
    store.delete("base/x").unwrap();
    collect(&store, true).unwrap();
    assert_eq!(store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap().payloads_there, 2, "two keep it");
    store.delete("ft/x").unwrap();
    collect(&store, true).unwrap();
    // Whole again, it is a base for what was made from it.
    put(&store, "ft/z", &near(1, 4), &["ft/y"]);
    let report = store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
    assert_eq!((report.payloads_moved, report.deltas, links(&store).len()), (2, 1, 1), "{report:?}");
    let payloads = store.stat().unwrap().payloads;
    assert_eq!((get(&store, "ft/y"), get(&store, "ft/z"), payloads), (near(1, 3), near(1, 4), 2));
    check_nothing_leaks(&store).unwrap();
    check_integrity(&store).unwrap();
}

// A base that was there only for what has just been forgotten would lie in the store for ever.
#[test]
fn forgetting_what_was_coded_lets_its_base_go_as_a_dry_run_says() {
    let (_dir, store) = filled();
    store.delete("base/x").unwrap();
    collect(&store, true).unwrap();
    store.delete("ft/x").unwrap();
    let options = tensoratom::GcOptions::new().keep_history(std::time::Duration::ZERO).dead_share(0.0);
    let foreseen = store.gc(&options.clone().dry_run(true), &Control::new()).unwrap();
    let done = store.gc(&options, &Control::new()).unwrap();
    assert_eq!((foreseen.payloads_moved, foreseen.forgotten), (done.payloads_moved, done.forgotten));
    assert_eq!((done.payloads_moved, store.stat().unwrap().payloads), (0, 0), "{done:?}");
    check_nothing_leaks(&store).unwrap();
}

// Damage that is reported for one atom while three can no longer be read sends operators home too early.
#[test]
fn damage_of_a_base_is_an_error_of_both_that_names_both_and_heals_with_the_base() {
    let (dir, store) = filled();
    put(&store, "other", &f32s(9), &[]);
    let rows = store.query("SELECT segment, offset FROM payloads WHERE codec = 'raw' ORDER BY 2", 9).unwrap().rows;
    let [SqlValue::Integer(segment), SqlValue::Integer(offset)] = rows[0][..] else { panic!("{rows:?}") };
    drop(store);
    let path = dir.path().join(format!("s/segments/{segment:08}.seg"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[offset as usize + 9_000] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let store = open(&dir.path().join("s"));
    assert_eq!(*store.get("ft/x").unwrap().range(0..100).unwrap(), near(1, 2)[..100], "chunks elsewhere are served");
    let error = store.get("ft/x").unwrap().bytes().unwrap_err();
    assert_eq!((error.kind(), error.segment_id()), (ErrorKind::Corrupt, Some(segment as u64)));
    assert!(error.to_string().contains("'ft/x'") && error.to_string().contains("its base 'base/x'"), "{error}");
    let report = store.verify(&VerifyOptions::new(), &Control::new()).unwrap();
    let damaged: Vec<String> = report.damaged.iter().map(|damage| format!("{:?}", damage.key)).collect();
    assert!(damaged.len() == 2 && damaged[0].contains("base/x") && damaged[1].contains("ft/x"), "{report:?}");
    assert_eq!(get(&store, "other"), f32s(9));
    put(&store, "healed", &f32s(1), &[]);
    assert_eq!(get(&store, "ft/x"), near(1, 2));
    check_integrity(&store).unwrap();
}

// Damage of a difference that is blamed on its base, or found nowhere because two wrongs are added, misleads or lies.
#[test]
fn damage_of_what_is_coded_against_a_base_is_its_own() {
    let (dir, store) = filled();
    let path = dir.path().join("s");
    let rows = store.query("SELECT segment, offset, stored_bytes FROM payloads WHERE codec = 'delta'", 9).unwrap().rows;
    let [SqlValue::Integer(segment), SqlValue::Integer(offset), SqlValue::Integer(stored)] = rows[0][..] else {
        panic!("{rows:?}")
    };
    drop(store);
    let file = path.join(format!("segments/{segment:08}.seg"));
    let whole = std::fs::read(&file).unwrap();
    // In the digest of the base, in the first chunk, in the middle, in the last one.
    for at in [150, 320, stored / 2, stored] {
        let mut bytes = whole.clone();
        bytes[(offset + at) as usize] ^= 4;
        std::fs::write(&file, bytes).unwrap();
        let store = open(&path);
        let error = store.get("ft/x").unwrap().bytes().unwrap_err();
        assert_eq!((error.kind(), error.segment_id()), (ErrorKind::Corrupt, Some(segment as u64)), "{at}: {error}");
        assert!(error.to_string().contains("'ft/x'") && !error.to_string().contains("its base"), "{at}: {error}");
        let report = store.verify(&VerifyOptions::new(), &Control::new()).unwrap();
        assert!(report.damaged.iter().all(|damage| damage.key != Some("base/x".into())), "{at}: {report:?}");
        assert_eq!(get(&store, "base/x"), f32s(1));
    }
    std::fs::write(&file, whole).unwrap();
    assert_eq!(get(&open(&path), "ft/x"), near(1, 2));
}

// The disk of a base may be away while what is coded against it is here: that is no damage, and nothing may go for it.
#[test]
fn while_the_disk_of_a_base_is_away_nothing_is_damaged_or_dropped_and_it_heals() {
    let (dir, store) = filled();
    drop(store);
    let (path, disk, away) = (dir.path().join("s"), dir.path().join("disk"), dir.path().join("away"));
    tensoratom::set_cold_directory(&path, &disk, &Control::new()).unwrap();
    let store = open(&path);
    freeze(&store, "base/");
    store.delete("base/x").unwrap();
    drop(store);
    std::fs::rename(&disk, &away).unwrap();
    let store = open(&path);
    let error = store.get("ft/x").unwrap().bytes().unwrap_err();
    assert_eq!((error.kind(), error.key_text()), (ErrorKind::ColdUnavailable, Some("ft/x")), "{error}");
    let error = store.move_to_tier(None, "ft/", Tier::Warm, &Control::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColdUnavailable, "{error}");
    let report = store.verify(&VerifyOptions::new(), &Control::new()).unwrap();
    assert!(report.is_sound() && report.payloads_unavailable == 2, "{report:?}");
    let report = collect(&store, true).unwrap();
    assert!(report.forgotten > 0 && report.unavailable.is_some() && report.findings.is_empty(), "{report:?}");
    assert_eq!(links(&store).len(), 1);
    std::fs::rename(&away, &disk).unwrap();
    assert_eq!(get(&store, "ft/x"), near(1, 2));
    collect(&store, true).unwrap();
    check_integrity(&store).unwrap();
    thaw(&store, "ft/");
    assert_eq!((get(&store, "ft/x"), store.stat().unwrap().payloads), (near(1, 2), 1));
    check_nothing_leaks(&store).unwrap();
}

// The links are in the catalog; lost with it, bases would be collected under what needs them.
#[test]
fn a_catalog_rebuilt_from_segments_has_the_same_links_and_counts() {
    let (dir, store) = filled();
    put(&store, "ft/y", &near(1, 3), &["ft/x"]);
    assert_eq!(freeze(&store, ""), 1);
    store.delete("base/x").unwrap();
    collect(&store, true).unwrap();
    let (before, accounted) = (links(&store), store.stat().unwrap().accounted);
    assert_eq!(before.len(), 2);
    drop(store);
    let path = dir.path().join("s");
    repair(&path, &RepairOptions::new().rebuild_catalog(true), &Control::new()).unwrap();
    let store = open(&path);
    let again = store.stat().unwrap().accounted;
    assert_eq!((links(&store), again.bases, again.live), (before, accounted.bases, accounted.live));
    assert_eq!((get(&store, "ft/x"), get(&store, "ft/y")), (near(1, 2), near(1, 3)));
    check_integrity(&store).unwrap();
    check_nothing_leaks(&store).unwrap();
}

/// Makes the records of some commits unreadable, and the catalog anew.
fn rebuild_without(path: &Path, store: Store, is_lost: impl Fn(i64) -> bool) -> RepairReport {
    let commits = store.query("SELECT lsn, segment, offset FROM commits", 1000).unwrap().rows;
    drop(store);
    for row in commits {
        let [SqlValue::Integer(lsn), SqlValue::Integer(segment), SqlValue::Integer(offset)] = row[..] else {
            panic!("{row:?}")
        };
        let file = path.join(format!("segments/{segment:08}.seg"));
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[offset as usize + 20] ^= u8::from(is_lost(lsn));
        std::fs::write(&file, bytes).unwrap();
    }
    repair(path, &RepairOptions::new().rebuild_catalog(true), &Control::new()).unwrap()
}

// The whole copy was reclaimed; with the commits that made the delta and moved its base, nothing would say where either lies.
#[test]
fn a_delta_whose_commits_are_lost_is_found_again_with_its_base() {
    let (dir, store) = filled();
    let path = dir.path().join("s");
    let frozen = store.lsn().unwrap() as i64;
    store.delete("base/x").unwrap();
    collect(&store, true).unwrap();
    // Puts, the deletion and its forgetting are left.
    let report = rebuild_without(&path, store, |lsn| lsn == frozen || lsn > frozen + 2);
    assert_eq!(report.payloads_adopted, 2, "{report:?}");
    let store = open(&path);
    assert_eq!((get(&store, "ft/x"), links(&store).len()), (near(1, 2), 1));
    assert!(store.stat().unwrap().accounted.bases > 0);
    thaw(&store, "ft/");
    collect(&store, true).unwrap();
    assert_eq!((get(&store, "ft/x"), store.stat().unwrap().payloads), (near(1, 2), 1));
    check_nothing_leaks(&store).unwrap();
}

// A tie whose end is lost would make a chain of what was coded against the thawed payload since.
#[test]
fn a_tie_whose_end_is_lost_gives_way_to_a_later_one() {
    let (dir, store) = filled();
    let path = dir.path().join("s");
    thaw(&store, "ft/x");
    let thawed = store.lsn().unwrap() as i64;
    put(&store, "ft/y", &near(1, 3), &["ft/x"]);
    assert_eq!(freeze(&store, "ft/y"), 1);
    let before = links(&store);
    let report = rebuild_without(&path, store, |lsn| lsn == thawed);
    assert_eq!(report.payloads_adopted, 1, "{report:?}");
    let store = open(&path);
    assert_eq!(links(&store), before);
    assert_eq!([get(&store, "base/x"), get(&store, "ft/x"), get(&store, "ft/y")], [f32s(1), near(1, 2), near(1, 3)]);
    collect(&store, true).unwrap();
    assert_eq!([get(&store, "base/x"), get(&store, "ft/x"), get(&store, "ft/y")], [f32s(1), near(1, 2), near(1, 3)]);
}

// A chain of differences is read as slowly as it is long, and breaks at its weakest link.
#[test]
fn nothing_is_coded_against_what_is_coded_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new()).unwrap();
    // Earlier versions of a key, and what was made from the newest: in one step, and in a later one.
    (1..5).for_each(|by| put(&store, "k", &near(1, by), &[]));
    put(&store, "from k", &near(1, 7), &["k"]);
    // The newest version is a base before its own turn comes, because "from k" comes first.
    assert_eq!(freeze(&store, ""), 3);
    put(&store, "later", &near(1, 8), &["from k"]);
    assert_eq!(freeze(&store, ""), 1);
    let links = links(&store);
    let roots: std::collections::BTreeSet<&String> = links.iter().map(|(_, base)| base).collect();
    assert_eq!((links.len(), roots.len()), (4, 2), "{links:?}");
    assert!(links.iter().all(|(payload, _)| !roots.contains(payload)));
    assert_eq!([get(&store, "k"), get(&store, "from k"), get(&store, "later")], [4, 7, 8].map(|by| near(1, by)));
    check_integrity(&store).unwrap();
}

// Depending on another payload for next to nothing is a risk without a reward, and an operator may want none at all.
#[test]
fn only_what_gets_clearly_smaller_is_a_delta_and_only_where_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new()).unwrap();
    put(&store, "base", &f32s(1), &[]);
    put(&store, "unrelated", &f32s(2), &["base"]);
    put(&store, "tuned", &near(1, 2), &["base"]);
    let reshaped = near(1, 3);
    let tensor = Tensor::new(DType::F32, &[1, COUNT as u64], &reshaped).unwrap();
    store.put_with("reshaped", &tensor, &PutOptions::new().parents(["base".into()])).unwrap();
    let frozen = |key: &str, options: &MoveOptions| {
        let deltas = store.move_to_tier_with(None, key, Tier::Cold, options, &Control::new()).unwrap().deltas;
        thaw(&store, key);
        deltas
    };
    let by_policy = MoveOptions::new();
    assert_eq!(["unrelated", "tuned", "reshaped"].map(|key| frozen(key, &by_policy)), [0, 1, 0]);
    assert_eq!(frozen("tuned", &MoveOptions::new().deltas(false)), 0);
    store.set_tier_policy(&TierPolicy::from_json(r#"{"deltas": false}"#).unwrap()).unwrap();
    assert_eq!((frozen("tuned", &by_policy), frozen("tuned", &MoveOptions::new().deltas(true))), (0, 1));
}

// Checkpoints come as files: nothing says which tensor was made from which but their names.
#[test]
fn a_checkpoint_is_coded_against_the_names_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new()).unwrap();
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        put(&store, &format!("base/{name}"), &f32s(n as u64), &[]);
        put(&store, &format!("ft/{name}"), &near(n as u64, 10), &[]);
    }
    put(&store, "ft/only here", &f32s(20), &[]);
    store.delete("base/c").unwrap();
    let options = MoveOptions::new().base("base/");
    let report = store.move_to_tier_with(None, "ft/", Tier::Cold, &options, &Control::new()).unwrap();
    assert_eq!((report.payloads_moved, report.deltas), (4, 2));
    let (first, second) = (dir.path().join("cold"), dir.path().join("warm"));
    let export = |path| store.export_file(path, &ExportOptions::new().prefix("ft/"), &Control::new()).unwrap();
    export(&first);
    thaw(&store, "");
    export(&second);
    assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap(), "exports differ");
}

// Search reads matrices where they lie; of a delta it must read what it stands for.
#[test]
fn a_cold_matrix_coded_against_another_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("s"), &Options::new()).unwrap();
    let matrix = |bytes: &[u8]| bytes[..9000 * 4].to_vec();
    let of = |bytes: &[u8], key: &str, parents: &[&str]| {
        let options = PutOptions::new().parents(parents.iter().map(|&parent| parent.into()));
        store.put_with(key, &Tensor::new(DType::F32, &[300, 30], bytes).unwrap(), &options).unwrap();
    };
    of(&matrix(&f32s(1)), "base", &[]);
    of(&matrix(&near(1, 2)), "tuned", &["base"]);
    let query: Vec<f32> =
        matrix(&near(1, 2))[..120].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let search = || {
        let matrix = store.snapshot().unwrap().matrix("tuned", Metric::SqEuclidean).unwrap();
        matrix.search(Rows::one(&query).unwrap(), 5, &SearchOptions::new()).unwrap()
    };
    let before = search();
    assert_eq!(before[0][0].id, 0);
    assert_eq!(freeze(&store, "tuned"), 1);
    assert_eq!(search(), before);
}

// The handle's own segment is kept for it; the base's must be as well, whatever the catalog forgets meanwhile.
#[test]
fn a_handle_reads_on_after_its_base_was_moved_collected_and_the_store_closed() {
    let (_dir, store) = filled();
    let handle = store.get("ft/x").unwrap();
    freeze(&store, "base/");
    collect(&store, true).unwrap();
    thaw(&store, "");
    store.delete("ft/x").unwrap();
    collect(&store, true).unwrap();
    drop(store);
    assert_eq!(*handle.bytes().unwrap(), *near(1, 2));
}

// Two moves that each saw a good base could together make a chain.
#[test]
fn a_base_that_another_process_made_a_delta_meanwhile_is_a_conflict() {
    let options = small_options(Durability::Full);
    let disk = SimDisk::new();
    let ours = Store::open_on(disk.process(), &options, true).unwrap();
    let theirs = Store::open_on(disk.process(), &options, false).unwrap();
    put(&ours, "a", &f32s(1), &[]);
    put(&ours, "b", &near(1, 2), &["a"]);
    put(&ours, "c", &near(1, 3), &["b"]);
    let faster = |_: tensoratom::Progress| assert_eq!(freeze(&theirs, "b"), 1);
    let error = ours.move_to_tier(None, "c", Tier::Cold, &Control::new().progress(&faster)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(freeze(&ours, "c"), 1, "against what its parent is coded against");
    for store in [&ours, &theirs] {
        assert_eq!([get(store, "a"), get(store, "b"), get(store, "c")], [f32s(1), near(1, 2), near(1, 3)]);
        check_integrity(store).unwrap();
    }
}

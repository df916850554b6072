//! Vector sets: conflicts between writers, compaction, companions, damage, rebuilding, names, and what is refused.
//! That they behave like maps under random transactions is in `model.rs`, under crashes and faults in their files.

use std::sync::atomic::AtomicBool;

use tensoratom::kernels::{Metric, Rows};
use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::check_integrity;
use tensoratom::testing::random::Random;
use tensoratom::{
    AsOf, CompactOptions, Companions, Control, DType, Durability, ErrorKind, Options, RepairOptions, Result,
    SearchOptions, SqlValue, Store, Tensor, VectorSet, VerifyOptions,
};

use crate::at::FileExt;

const DIM: usize = 3;

fn store() -> Store {
    Store::open_on(SimDisk::new().process(), &small_options(Durability::Process), true).unwrap()
}

/// A vector that says whose it is.
fn vector(id: i64, version: i64) -> [f32; DIM] {
    [id as f32, version as f32, 1.0]
}

fn matrix(ids: &[i64], version: i64) -> Vec<f32> {
    ids.iter().flat_map(|&id| vector(id, version)).collect()
}

fn append(set: &VectorSet, ids: &[i64], version: i64) -> Result<()> {
    set.append(ids, Rows::of(DIM, &matrix(ids, version)).unwrap())
}

fn upsert(set: &VectorSet, ids: &[i64], version: i64) -> Result<()> {
    set.upsert(ids, Rows::of(DIM, &matrix(ids, version)).unwrap())
}

fn new_set(store: &Store) -> VectorSet {
    store.vectors("set", DIM, DType::F32, Metric::Euclidean).unwrap()
}

/// Ids and versions, by id.
fn contents(set: &VectorSet) -> Vec<(i64, i64)> {
    let mut found: Vec<(i64, i64)> = set
        .snapshot()
        .unwrap()
        .iter()
        .map(|vector| {
            let (id, bytes) = vector.unwrap();
            let number = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as i64;
            assert_eq!(number(0), id, "a vector under the id of another");
            (id, number(4))
        })
        .collect();
    found.sort_unstable();
    found
}

fn all(ids: impl IntoIterator<Item = i64>, version: i64) -> Vec<(i64, i64)> {
    ids.into_iter().map(|id| (id, version)).collect()
}

#[test]
fn vectors_are_added_replaced_deleted_and_read_by_id() {
    let store = store();
    let set = new_set(&store);
    assert!(set.is_empty().unwrap());
    append(&set, &[5, -3, 9], 1).unwrap();
    upsert(&set, &[9, 7], 2).unwrap();
    assert_eq!(contents(&set), [(-3, 1), (5, 1), (7, 2), (9, 2)]);
    let before = set.snapshot().unwrap();
    assert_eq!(set.delete(&[5, 5, 6]).unwrap(), 1);
    assert_eq!((set.len().unwrap(), before.len()), (3, 4), "a snapshot stays as it was");
    assert!(!set.contains(5).unwrap() && set.contains(9).unwrap());
    let got = set.get(&[9, 5, -3]).unwrap();
    let bytes = |id, version| vector(id, version).map(f32::to_le_bytes).concat();
    assert_eq!(got[0].as_deref(), Some(&bytes(9, 2)[..]));
    assert_eq!((got[1].as_deref(), got[2].as_deref()), (None, Some(&bytes(-3, 1)[..])));
    let info = set.info().unwrap();
    assert_eq!((info.vectors, info.parts, info.deleted_rows, info.vector_bytes), (3, 2, 2, 60));
    let old = store.snapshot_at(AsOf::Lsn(before.lsn())).unwrap().vector_set("set").unwrap();
    assert_eq!(old.len(), 4);
}

#[test]
fn what_does_not_fit_is_refused() {
    let store = store();
    let set = new_set(&store);
    append(&set, &[1, 2], 1).unwrap();
    let one = [0.0_f32; 8];
    let kind = |outcome: Result<()>| outcome.unwrap_err().kind();
    assert_eq!(kind(append(&set, &[3, 1], 2)), ErrorKind::AlreadyExists);
    assert_eq!(kind(append(&set, &[3, 3], 2)), ErrorKind::InvalidArgument);
    assert_eq!(kind(upsert(&set, &[3, 3], 2)), ErrorKind::InvalidArgument);
    assert_eq!(kind(set.append(&[3], Rows::of(2, &one[..2]).unwrap())), ErrorKind::InvalidShape);
    assert_eq!(kind(set.append(&[3], Rows::of(DIM, &[0_u8; 3]).unwrap())), ErrorKind::Unsupported);
    assert_eq!(kind(set.append(&[3, 4], Rows::of(DIM, &one[..3]).unwrap())), ErrorKind::InvalidArgument);
    assert_eq!(set.len().unwrap(), 2, "nothing of it happened");
    let open = |dim, dtype, metric| store.vectors("set", dim, dtype, metric).unwrap_err().kind();
    assert_eq!(open(4, DType::F32, Metric::Euclidean), ErrorKind::AlreadyExists);
    assert_eq!(open(DIM, DType::F16, Metric::Euclidean), ErrorKind::AlreadyExists);
    assert_eq!(open(DIM, DType::F32, Metric::Dot), ErrorKind::AlreadyExists);
    let new = |name: &str, dim, dtype| store.vectors(name, dim, dtype, Metric::Dot).unwrap_err().kind();
    assert_eq!(new("x", 0, DType::F32), ErrorKind::InvalidShape);
    assert_eq!(new("x", 3, DType::I64), ErrorKind::Unsupported);
    assert_eq!(new("", 3, DType::F32), ErrorKind::InvalidKey);
    assert_eq!(store.vectors(7, 3, DType::F32, Metric::Dot).unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(store.vector_set("x").unwrap_err().kind(), ErrorKind::NotFound);
}

// Rows that are apart, or whose ids do not ascend, are put in order on the way in; each must keep its id.
#[test]
fn strided_rows_and_ids_in_any_order_keep_together() {
    let store = store();
    let set = new_set(&store);
    let mut ids: Vec<i64> = (0..2000).map(|n| n * 7919 % 2003).collect();
    let wide: Vec<f32> = ids.iter().flat_map(|&id| [vector(id, 4).to_vec(), vec![99.0; 2]].concat()).collect();
    let bytes: Vec<u8> = wide.iter().flat_map(|x| x.to_le_bytes()).collect();
    set.append(&ids, Rows::strided(DType::F32, 2000, DIM, 20, &bytes).unwrap()).unwrap();
    ids.sort_unstable();
    assert_eq!(contents(&set), all(ids, 4));
    assert_eq!(set.info().unwrap().companion_rows, 2000);
}

#[test]
fn namespaces_keep_sets_apart_and_payloads_are_shared_with_atoms() {
    let store = store();
    let tenant = store.create_namespace("tenant").unwrap();
    let mine = new_set(&store);
    let theirs = tenant.vectors("set", 5, DType::I8, Metric::Dot).unwrap();
    let ids: Vec<i64> = (0..400).collect();
    let numbers = matrix(&ids, 1);
    store.put("weights", &Tensor::from_slice(&[400, 3], &numbers).unwrap()).unwrap();
    let before = store.stat().unwrap().payloads;
    append(&mine, &ids, 1).unwrap();
    assert_eq!(store.stat().unwrap().payloads, before + 1, "the matrix is stored already; ids are new");
    assert!(theirs.is_empty().unwrap());
    let names = |snapshot: tensoratom::Snapshot| -> Vec<usize> {
        snapshot.vector_sets().unwrap().iter().map(|set| set.dim()).collect()
    };
    assert_eq!(names(store.snapshot().unwrap()), [3]);
    assert_eq!(names(store.snapshot().unwrap().in_namespace(&tenant)), [5]);
    assert_eq!(check_integrity(&store), Ok(()));
}

// Two writers read the same state. Whoever commits second must not undo or double what the first one did.
#[test]
fn writers_that_touch_the_same_vectors_conflict_and_others_do_not() {
    type Work = fn(&mut tensoratom::VectorWriter<'_>) -> Result<()>;
    let add_new: Work = |w| w.append(&[100], Rows::of(DIM, &vector(100, 2)).unwrap());
    let add_other: Work = |w| w.append(&[101], Rows::of(DIM, &vector(101, 2)).unwrap());
    let upsert_new: Work = |w| w.upsert(&[100], Rows::of(DIM, &vector(100, 3)).unwrap());
    let replace_one: Work = |w| w.upsert(&[1], Rows::of(DIM, &vector(1, 2)).unwrap());
    let delete_one: Work = |w| w.delete(&[1]).map(drop);
    let delete_new: Work = |w| w.delete(&[1, 100]).map(drop);
    let delete_far: Work = |w| w.delete(&[11]).map(drop);
    let compact: Work = |w| w.compact(&CompactOptions::new(), &Control::new()).map(drop);
    let companions: Work = |w| w.build_companions(&Control::new()).map(drop);
    let cases: [(&str, Work, Work, bool); 13] = [
        ("new ids that differ", add_new, add_other, true),
        ("the same new id", add_new, add_new, false),
        ("the same new id, upserted", upsert_new, add_new, false),
        ("the same vector replaced", replace_one, replace_one, false),
        ("the same vector deleted", delete_one, delete_one, false),
        ("replaced and deleted", replace_one, delete_one, false),
        ("vectors of different parts", delete_one, delete_far, true),
        ("a new id and a deletion", add_new, delete_one, true),
        ("compacted and deleted", compact, delete_one, false),
        ("compacted and added", compact, add_new, true),
        ("deleted and compacted", delete_far, compact, false),
        ("companions and a deletion", companions, delete_one, true),
        ("added and deleted", add_new, delete_new, false),
    ];
    for (what, first, second, both) in cases {
        let store = store();
        let set = new_set(&store).companions(Companions::Never);
        append(&set, &[1, 2, 3], 1).unwrap();
        append(&set, &[11, 12], 1).unwrap();
        let (mut one, mut two) = (store.begin().unwrap(), store.begin().unwrap());
        first(&mut one.vectors("set").unwrap()).unwrap();
        second(&mut two.vectors("set").unwrap()).unwrap();
        two.put("atom", &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
        one.commit().unwrap();
        let outcome = two.commit();
        match both {
            true => assert!(outcome.is_ok(), "{what}: {outcome:?}"),
            false => assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict, "{what}"),
        }
        assert_eq!(store.exists("atom").unwrap(), both, "{what}: atoms and vectors are one commit");
        let found = contents(&set);
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "{what}: {found:?}");
        assert_eq!(check_integrity(&store), Ok(()), "{what}");
    }
}

// Commits of one group do not see each other's payloads on disk yet; their ids must be compared all the same.
#[test]
fn many_threads_add_the_same_ids_and_each_id_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().durability(Durability::Process);
    let store = Store::create(dir.path().join("store"), &options).unwrap();
    let set = new_set(&store);
    std::thread::scope(|scope| {
        for thread in 0..8_i64 {
            let set = set.clone();
            scope.spawn(move || {
                for round in 0..12_i64 {
                    let ids = [round, 1000 + thread * 100 + round];
                    match append(&set, &ids, thread) {
                        Err(e) if e.kind() == ErrorKind::AlreadyExists => append(&set, &ids[1..], thread).unwrap(),
                        other => other.unwrap(),
                    }
                }
            });
        }
    });
    let ids: Vec<i64> = contents(&set).iter().map(|(id, _)| *id).collect();
    let own = (0..8).flat_map(|thread| (0..12).map(move |round| 1000 + thread * 100 + round));
    assert_eq!(ids, (0..12).chain(own).collect::<Vec<i64>>());
    assert!(set.compact(&CompactOptions::new(), &Control::new()).unwrap() > 1);
    assert_eq!((set.len().unwrap(), set.info().unwrap().parts), (108, 1));
    assert_eq!(check_integrity(&store), Ok(()));
}

#[test]
fn a_set_is_created_dropped_and_made_anew_in_transactions() {
    let store = store();
    let set = new_set(&store);
    append(&set, &[1], 1).unwrap();
    let old = set.snapshot().unwrap();
    let mut late = store.begin().unwrap();
    late.vectors("set").unwrap().delete(&[1]).unwrap();
    let mut txn = store.begin().unwrap();
    assert!(txn.drop_vectors("set").unwrap() && !txn.drop_vectors("set").unwrap());
    assert_eq!(txn.vectors("set").unwrap_err().kind(), ErrorKind::NotFound);
    let mut writer = txn.create_vectors("set", 2, DType::I8, Metric::Dot).unwrap();
    writer.append(&[8], Rows::of(2, &[1_i8, 2]).unwrap()).unwrap();
    assert_eq!((writer.len().unwrap(), writer.contains(1).unwrap()), (1, false));
    txn.commit().unwrap();
    assert_eq!(late.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(set.len().unwrap_err().kind(), ErrorKind::NotFound, "the handle is on the set that is gone");
    assert_eq!((store.vector_set("set").unwrap().dim(), old.len()), (2, 1));

    let mut txn = store.begin().unwrap();
    txn.create_vectors("fleeting", 2, DType::I8, Metric::Dot).unwrap();
    assert!(txn.drop_vectors("fleeting").unwrap());
    let lsn = store.lsn().unwrap();
    assert_eq!(txn.commit().unwrap(), lsn, "nothing is left to commit");
    let (mut one, mut two) = (store.begin().unwrap(), store.begin().unwrap());
    one.create_vectors("twice", 2, DType::I8, Metric::Dot).unwrap();
    two.create_vectors("twice", 3, DType::I8, Metric::Dot).unwrap();
    one.commit().unwrap();
    assert_eq!(two.commit().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(store.begin().unwrap().create_vectors("twice", 2, DType::I8, Metric::Dot).is_err());
    store.begin().unwrap().abort();
    assert_eq!(check_integrity(&store), Ok(()));
}

// A program that stages vectors and looks for their neighbours before it commits would miss what it has just added.
#[test]
fn a_transaction_searches_what_it_has_staged() {
    let store = store();
    let set = new_set(&store);
    append(&set, &[1, 2, 3], 0).unwrap();
    append(&set, &[4, 5], 0).unwrap();
    let many: Vec<i64> = (100..30_000).collect(); // more than waits in memory: written to a segment before the commit
    let mut txn = store.begin().unwrap();
    let mut writer = txn.vectors("set").unwrap().companions(Companions::Always);
    writer.append(&[9], Rows::of(DIM, &matrix(&[9], 1)).unwrap()).unwrap();
    writer.append(&many, Rows::of(DIM, &matrix(&many, 1)).unwrap()).unwrap();
    writer.upsert(&[2], Rows::of(DIM, &matrix(&[2], 7)).unwrap()).unwrap();
    assert_eq!(writer.delete(&[5, 9, 200]).unwrap(), 3);
    let view = writer.view().unwrap();
    let staged: Vec<(i64, Vec<u8>)> =
        view.iter().map(|row| row.map(|(id, bytes)| (id, bytes.to_vec())).unwrap()).collect();
    let query = vector(2, 7);
    let search = |view: &tensoratom::VectorSnapshot| {
        view.search(Rows::one(&query).unwrap(), 50, &SearchOptions::new().metric(Metric::SqEuclidean))
            .unwrap()
            .remove(0)
    };
    let found = search(&view);
    assert_eq!((found[0].id, found[0].distance), (2, 0.0));
    assert!(view.get(&[5, 9]).unwrap().iter().all(Option::is_none) && view.contains(5999).unwrap());
    assert_eq!(view.len(), writer.len().unwrap());
    assert_eq!(set.len().unwrap(), 5, "nobody else sees it");
    txn.commit().unwrap();
    let committed = set.snapshot().unwrap();
    let rows: Vec<(i64, Vec<u8>)> =
        committed.iter().map(|row| row.map(|(id, bytes)| (id, bytes.to_vec())).unwrap()).collect();
    assert_eq!(rows, staged);
    assert_eq!(committed.ids().unwrap(), staged.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    assert_eq!(search(&committed), found);
}

// An upsert that was stopped had taken the vectors it was to replace, a compaction all of its parts: whoever went on and
// committed the rest lost them.
#[test]
fn a_call_that_fails_leaves_the_transaction_as_it_was() {
    let store = store();
    let set = new_set(&store);
    append(&set, &[1, 2, 3], 1).unwrap();
    append(&set, &[11, 12], 1).unwrap();
    let cancel = AtomicBool::new(true);
    let control = Control::new().cancel(&cancel);
    let mut txn = store.begin().unwrap();
    let mut writer = txn.vectors("set").unwrap();
    writer.append(&[21, 22], Rows::of(DIM, &matrix(&[21, 22], 2)).unwrap()).unwrap();
    let options = CompactOptions::new().dead_fraction(0.0);
    assert_eq!(writer.compact(&options, &control).unwrap_err().kind(), ErrorKind::Cancelled);
    let mut stopped = writer.within(control);
    for ids in [[2, 12], [21, 31]] {
        let outcome = stopped.upsert(&ids, Rows::of(DIM, &matrix(&ids, 3)).unwrap());
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    }
    assert_eq!(stopped.len().unwrap(), 7);
    txn.commit().unwrap();
    assert_eq!(contents(&set), [all([1, 2, 3, 11, 12], 1), all([21, 22], 2)].concat());
    assert_eq!(check_integrity(&store), Ok(()));
}

#[test]
fn compaction_frees_deleted_rows_and_respects_its_limits() {
    let store = store();
    let set = new_set(&store).companions(Companions::Always);
    for start in [0, 100, 200] {
        append(&set, &(start..start + 100).rev().collect::<Vec<i64>>(), 1).unwrap();
    }
    set.delete(&(0..250).filter(|id| id % 2 == 0).collect::<Vec<_>>()).unwrap();
    let expected = contents(&set);
    let rarely = CompactOptions::new().dead_fraction(1.1).small_rows(0);
    assert_eq!(set.compact(&rarely, &Control::new()).unwrap(), 0);
    let half = CompactOptions::new().dead_fraction(0.4).small_rows(0).part_bytes_max(12 * 60);
    assert_eq!(set.compact(&half, &Control::new()).unwrap(), 2, "of the third part a quarter is deleted");
    let info = set.info().unwrap();
    assert_eq!((info.vectors, info.parts, info.deleted_rows), (175, 3, 25));
    assert_eq!(contents(&set), expected);
    let history = store.stat().unwrap().accounted.history;
    assert!(history > 0, "older snapshots still have the parts");
    assert_eq!(set.compact(&CompactOptions::new(), &Control::new()).unwrap(), 3);
    let info = set.info().unwrap();
    assert_eq!((info.parts, info.deleted_rows, info.companion_rows), (1, 0, 175));
    assert_eq!(contents(&set), expected);
    assert_eq!(set.compact(&CompactOptions::new(), &Control::new()).unwrap(), 0, "there is nothing left to do");
    set.delete(&expected.iter().map(|(id, _)| *id).collect::<Vec<_>>()).unwrap();
    set.compact(&CompactOptions::new(), &Control::new()).unwrap();
    assert_eq!(set.info().unwrap().parts, 0, "parts without vectors go");
    assert_eq!(check_integrity(&store), Ok(()));
}

#[test]
fn companions_are_built_later_and_older_snapshots_stay_without() {
    let store = store();
    let set = new_set(&store).companions(Companions::Never);
    append(&set, &[1, 2], 1).unwrap();
    append(&set, &[3], 1).unwrap();
    let before = set.snapshot().unwrap();
    assert_eq!(set.build_companions(&Control::new()).unwrap(), 2);
    assert_eq!(set.build_companions(&Control::new()).unwrap(), 0);
    let info = set.info().unwrap();
    assert_eq!((info.companion_rows, before.info().companion_rows), (3, 0));
    assert!(info.companion_bytes > 0);
    let bytes = store.vectors("bytes", 2, DType::U8, Metric::Hamming).unwrap().companions(Companions::Always);
    bytes.append(&[1], Rows::of(2, &[1_u8, 2]).unwrap()).unwrap();
    assert_eq!((bytes.build_companions(&Control::new()).unwrap(), bytes.info().unwrap().companion_bytes), (0, 0));
    assert_eq!(check_integrity(&store), Ok(()));
}

fn on_disk(fill: impl Fn(&Store)) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    fill(&Store::create(&path, &small_options(Durability::Process)).unwrap());
    (dir, path)
}

// Whoever finds a broken segment wants to know which set suffers, and which part of it.
#[test]
fn damage_is_reported_with_the_set_and_the_part_and_never_returned() {
    let (_dir, path) = on_disk(|store| {
        let set = new_set(store).companions(Companions::Always);
        append(&set, &(0..3000).collect::<Vec<i64>>(), 1).unwrap();
        append(&set, &(5000..5010).collect::<Vec<i64>>(), 1).unwrap();
        set.delete(&[7]).unwrap();
    });
    let store = Store::open(&path, &Options::new()).unwrap();
    let sql = "SELECT segment, offset, bytes FROM payloads";
    let places = store.query(sql, 100).unwrap().rows;
    drop(store);
    let number = |value: &SqlValue| match value {
        SqlValue::Integer(n) => *n as u64,
        other => panic!("{other:?}"),
    };
    let mut roles = std::collections::BTreeSet::new();
    for place in places {
        let (segment, offset, bytes) = (number(&place[0]), number(&place[1]), number(&place[2]));
        let file = path.join(format!("segments/{segment:08}.seg"));
        let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
        // The middle of the payload, which starts at most 4096 bytes behind the header.
        let at = offset + if bytes > 8192 { 4096 + bytes / 2 } else { 192 + 64 + bytes / 2 };
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
        let store = Store::open(&path, &Options::new()).unwrap();
        let report = store.verify(&VerifyOptions::new(), &Control::new()).unwrap();
        assert_eq!(report.damaged.len(), 1, "{:?}", report.damaged);
        let damage = &report.damaged[0];
        let (role, rest) = damage.what.split_once(" of part ").unwrap();
        assert!(rest.contains("of vector set 'set'"), "{}", damage.what);
        assert!(damage.is_current && damage.segment == Some(segment) && damage.lsn.is_some());
        let query = vector(9, 1);
        let found =
            store.vector_set("set").unwrap().search(Rows::of(DIM, &query).unwrap(), 4000, &SearchOptions::new());
        match found {
            Err(e) => assert_eq!(e.kind(), ErrorKind::Corrupt),
            // A damaged chunk that no search had to look at.
            Ok(found) => assert_eq!((found[0].len(), found[0][0].id), (3009, 9)),
        }
        roles.insert(role.to_owned());
        drop(store);
        file.write_all_at(&byte, at).unwrap();
    }
    assert_eq!(roles.into_iter().collect::<Vec<_>>(), ["companion", "ids", "tombstones", "vectors"]);
}

// The catalog is a cache of the segments. A set that only the catalog knows would die with it.
#[test]
fn a_rebuilt_catalog_has_every_set_with_its_history() {
    let (_dir, path) = on_disk(|store| {
        let set = new_set(store);
        append(&set, &[1, 2, 3], 1).unwrap();
        upsert(&set, &[2], 2).unwrap();
        set.build_companions(&Control::new()).unwrap();
        set.compact(&CompactOptions::new(), &Control::new()).unwrap();
        append(&set, &(10..3000).collect::<Vec<i64>>(), 3).unwrap();
        set.delete(&[11]).unwrap();
        store.vectors("gone", 1, DType::B1, Metric::Jaccard).unwrap();
        let mut txn = store.begin().unwrap();
        txn.drop_vectors("gone").unwrap();
        txn.commit().unwrap();
    });
    let look = || {
        let store = Store::open(&path, &Options::new()).unwrap();
        let history: Vec<_> = (0..=store.lsn().unwrap())
            .map(|lsn| {
                let snapshot = store.snapshot_at(AsOf::Lsn(lsn)).unwrap();
                let sets = snapshot.vector_sets().unwrap();
                sets.iter()
                    .map(|set| (set.info(), set.iter().map(|v| v.unwrap().0).collect::<Vec<_>>()))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(check_integrity(&store), Ok(()));
        history
    };
    let before = look();
    let rebuild = RepairOptions::new().rebuild_catalog(true);
    let report = tensoratom::repair(&path, &rebuild, &Control::new()).unwrap();
    assert_eq!((report.findings, report.commits_missing), (vec![], vec![]));
    assert_eq!(look(), before);
}

// The record that created a set is damaged: its parts bring it back, as payloads whose commit is gone could not.
#[test]
fn a_set_whose_creation_is_lost_comes_back_with_its_parts() {
    let (_dir, path) = on_disk(|store| {
        let set = new_set(store);
        append(&set, &[1, 2, 3], 1).unwrap();
        set.delete(&[2]).unwrap();
        append(&set, &[4], 1).unwrap();
    });
    let store = Store::open(&path, &Options::new()).unwrap();
    let place = store.query("SELECT segment, offset FROM commits WHERE lsn = 1", 1).unwrap().rows.remove(0);
    drop(store);
    let [SqlValue::Integer(segment), SqlValue::Integer(offset)] = place[..] else { panic!("{place:?}") };
    let file = path.join(format!("segments/{segment:08}.seg"));
    std::fs::OpenOptions::new().write(true).open(file).unwrap().write_all_at(&[0; 64], offset as u64).unwrap();
    let rebuild = RepairOptions::new().rebuild_catalog(true);
    let report = tensoratom::repair(&path, &rebuild, &Control::new()).unwrap();
    assert_eq!(report.commits_missing, [(1, 1)]);
    let store = Store::open(&path, &Options::new()).unwrap();
    assert_eq!(contents(&store.vector_set("set").unwrap()), all([1, 3, 4], 1));
}

#[test]
fn stat_and_queries_show_sets_and_parts() {
    let store = store();
    let set = new_set(&store).companions(Companions::Always);
    append(&set, &[1, 2, 3], 1).unwrap();
    append(&set, &[4], 1).unwrap();
    set.delete(&[4]).unwrap();
    let stat = store.stat().unwrap();
    assert_eq!((stat.vector_sets, stat.vector_parts, stat.atoms), (1, 2, 0));
    assert_eq!(stat.accounted.total(), stat.disk_bytes);
    let row = store.query("SELECT name, dim, dtype, metric, parts, rows FROM vector_sets", 9).unwrap().rows.remove(0);
    let text = |text: &str| SqlValue::Text(text.into());
    let number = SqlValue::Integer;
    assert_eq!(row, [text("set"), number(3), text("f32"), text("euclidean"), number(2), number(4)]);
    let sql = "SELECT part, rows, vector_bytes, id_bytes, tombstone_bytes > 0, companion_bytes > 0 FROM vector_parts";
    let rows = store.query(sql, 9).unwrap().rows;
    assert_eq!(rows[0], [1, 3, 36, 24, 0, 1].map(number));
    assert_eq!(rows[1], [2, 1, 12, 8, 1, 1].map(number));
}

// Random transactions by several writers that overlap in time, against a map: whatever commits is applied whole.
#[test]
fn overlapping_transactions_leave_what_the_order_of_commits_leaves() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let store = store();
        let set = new_set(&store).companions(Companions::Never);
        let mut model = std::collections::BTreeMap::new();
        let mut conflicts = 0;
        for round in 0..25 {
            // Both read the same state, do their work, commit one after the other.
            let mut open = Vec::new();
            for writer in 0..2 {
                let version = round * 2 + writer;
                let mut txn = store.begin().unwrap();
                let mut effect: Vec<(i64, Option<i64>)> = Vec::new();
                for _ in 0..1 + random.below(3) {
                    let mut ids: Vec<i64> = (0..1 + random.below(4)).map(|_| random.below(30) as i64).collect();
                    ids.sort_unstable();
                    ids.dedup();
                    let mut vectors = txn.vectors("set").unwrap().companions(Companions::Never);
                    match random.below(4) {
                        0 => {
                            vectors.delete(&ids).unwrap();
                            effect.extend(ids.iter().map(|&id| (id, None)));
                        }
                        1 if random.one_in(3) => {
                            vectors.compact(&CompactOptions::new().dead_fraction(0.0), &Control::new()).unwrap();
                        }
                        _ => {
                            vectors.upsert(&ids, Rows::of(DIM, &matrix(&ids, version)).unwrap()).unwrap();
                            effect.extend(ids.iter().map(|&id| (id, Some(version))));
                        }
                    }
                }
                open.push((txn, effect));
            }
            for (txn, effect) in open {
                let before = store.lsn().unwrap();
                match txn.commit() {
                    Ok(lsn) if lsn <= before => {} // it found nothing to change when it looked
                    Ok(_) => {
                        for (id, version) in effect {
                            match version {
                                Some(version) => drop(model.insert(id, version)),
                                None => drop(model.remove(&id)),
                            }
                        }
                    }
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Conflict);
                        conflicts += 1;
                    }
                }
            }
            assert_eq!(contents(&set), model.clone().into_iter().collect::<Vec<_>>(), "seed {seed}, round {round}");
        }
        assert!(conflicts > 0, "seed {seed}: the writers never met");
        assert_eq!(check_integrity(&store), Ok(()));
    }
}

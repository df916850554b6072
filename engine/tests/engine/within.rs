//! Reads, puts and commits that a caller gives up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tensoratom::kernels::{Metric, Rows};
use tensoratom::{Control, DType, Encoding, ErrorKind, Options, PutOptions, ReadMode, Store, Tensor, VerifyOptions};

const LARGE: usize = 9 << 20;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("store"), &Options::new()).unwrap();
    (folder, store)
}

// A put that was given up and left its first blocks in the transaction would commit half a tensor.
#[test]
fn a_put_that_is_cancelled_in_the_middle_leaves_the_transaction_as_it_was() {
    let (_folder, store) = store();
    let large = vec![7_u8; LARGE];
    let tensor = Tensor::new(DType::U8, &[LARGE as u64], &large).unwrap();
    let mut txn = store.begin().unwrap();
    txn.put("small", &Tensor::new(DType::U8, &[1], &large[..1]).unwrap()).unwrap();
    let (flag, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let stop = |progress: tensoratom::Progress| {
        seen.store(progress.bytes_done, Ordering::Relaxed);
        flag.store(true, Ordering::Relaxed);
    };
    let control = Control::new().cancel(&flag).progress(&stop);
    let error = txn.put_within("large", &tensor, &PutOptions::new(), &control).unwrap_err();
    assert_eq!((error.kind(), seen.load(Ordering::Relaxed)), (ErrorKind::Cancelled, 4 << 20));
    txn.commit_within(&Control::new()).unwrap();
    assert!(store.exists("small").unwrap() && !store.exists("large").unwrap());
}

// A way of putting that forgets what a tensor is made of would store codes without their scale.
#[test]
fn a_large_put_with_a_deadline_keeps_encoding_and_bytes() {
    let (_folder, store) = store();
    let codes: Vec<u8> = (0..LARGE).map(|at| (at / 3) as u8).collect();
    let encoding = Encoding::Quantized { block: 0, scale: vec![0.5], zero_point: vec![] };
    let tensor = Tensor::encoded(DType::I8, &[LARGE as u64], encoding.clone(), &codes).unwrap();
    let mut txn = store.begin().unwrap();
    let hour = Control::new().deadline(Instant::now() + std::time::Duration::from_secs(3600));
    txn.put_within("codes", &tensor, &PutOptions::new(), &hour).unwrap();
    txn.commit_within(&hour).unwrap();
    let payload = store.get("codes").unwrap();
    assert_eq!(payload.info().encoding, encoding);
    let mut read = vec![0; LARGE - 1];
    payload.read_into_within(1, &mut read, &hour).unwrap();
    assert!(read == codes[1..]);
}

// A query, a count or a listing over all of a large catalog held its thread for as long as it took.
#[test]
fn questions_to_the_catalog_and_changes_of_many_keys_end_at_a_deadline_that_has_passed() {
    let (_folder, store) = store();
    let (past, hour) = (Control::new().deadline(Instant::now()), Control::new());
    let set = store.vectors("set", 1, DType::F32, Metric::Dot).unwrap();
    set.append_within(&[1], Rows::one(&[1.0_f32]).unwrap(), &hour).unwrap();
    store.put("p/a", &Tensor::new(DType::U8, &[2], &[1, 2]).unwrap()).unwrap();
    let mut txn = store.begin().unwrap();
    let calls = [
        store.query_within("SELECT 1", 1, &past).map(|_| 0),
        store.stat_within(&past).map(|_| 0),
        store.plan_within(&past).map(|_| 0),
        txn.delete_prefix_within(None, "p/", &past),
        set.append_within(&[2], Rows::one(&[1.0_f32]).unwrap(), &past).map(|()| 0),
        set.upsert_within(&[2], Rows::one(&[1.0_f32]).unwrap(), &past).map(|()| 0),
        set.delete_within(&[1], &past),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.unwrap_err().kind(), ErrorKind::Cancelled, "call {number}");
    }
    txn.commit().unwrap();
    assert!(store.exists("p/a").unwrap() && set.len().unwrap() == 1);
    assert_eq!(store.query_within("SELECT 1", 1, &hour).unwrap().rows.len(), 1);
    let mut txn = store.begin().unwrap();
    assert_eq!(txn.delete_prefix_within(None, "p/", &hour).unwrap(), 1);
}

// A deadline that only some calls heed is one that a service cannot promise.
#[test]
fn reads_and_commits_end_at_a_deadline_that_has_passed() {
    let (_folder, store) = store();
    store.put("a", &Tensor::new(DType::U8, &[2], &[1, 2]).unwrap()).unwrap();
    let past = Control::new().deadline(Instant::now());
    let mut target = [9; 2];
    let error = store.get("a").unwrap().read_into_within(0, &mut target, &past).unwrap_err();
    assert_eq!((error.kind(), target), (ErrorKind::Cancelled, [9; 2]));
    let mut txn = store.begin().unwrap();
    txn.delete("a").unwrap();
    assert_eq!(txn.commit_within(&past).unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(store.exists("a").unwrap());
}

// A first touch that cannot be ended holds a notebook for as long as a cold disk takes.
#[test]
fn a_first_touch_ends_between_blocks_and_what_was_verified_stays() {
    let (folder, store) = store();
    let bytes = vec![5_u8; 40 << 20];
    store.put("x", &Tensor::new(DType::U8, &[40 << 20], &bytes).unwrap()).unwrap();
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let store = Store::open(folder.path().join("store"), &Options::new().read_mode(mode).read_only(true)).unwrap();
        let payload = store.get("x").unwrap();
        let past = Control::new().deadline(Instant::now());
        assert!(!payload.is_ready());
        assert_eq!(payload.range_within(0..payload.len(), &past).unwrap_err().kind(), ErrorKind::Cancelled);
        let (flag, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        let stop = |progress: tensoratom::Progress| {
            seen.store(progress.bytes_done, Ordering::Relaxed);
            flag.store(true, Ordering::Relaxed);
        };
        let control = Control::new().cancel(&flag).progress(&stop);
        if mode == ReadMode::Mapped {
            assert_eq!(payload.range_within(0..payload.len(), &control).unwrap_err().kind(), ErrorKind::Cancelled);
            assert_eq!(seen.load(Ordering::Relaxed), 32 << 20);
        }
        assert!(payload.range_within(1..payload.len(), &Control::new()).unwrap()[..] == bytes[1..]);
        assert_eq!(payload.is_ready(), mode == ReadMode::Mapped);
        let beyond = payload.range_within(0..payload.len() + 1, &Control::new());
        assert_eq!(beyond.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

// A commit that waits for another process' lock, or for its turn behind one that does, must be one that can be given up.
#[test]
fn commits_that_wait_are_given_up_and_leave_nothing() {
    let (folder, store) = store();
    let lock = rusqlite::Connection::open(folder.path().join("store/catalog.tadb")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let commit = |key: &str, wait_ms: u64| {
        let mut txn = store.begin().unwrap();
        txn.put(key, &Tensor::new(DType::U8, &[3], &[1, 2, 3]).unwrap()).unwrap();
        let soon = Control::new().deadline(Instant::now() + std::time::Duration::from_millis(wait_ms));
        txn.commit_within(&soon)
    };
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| commit("leader", 300));
        let follower = scope.spawn(|| commit("follower", 100));
        for waiting in [leader, follower] {
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        }
    });
    lock.execute_batch("ROLLBACK").unwrap();
    commit("after", 60_000).unwrap();
    let held = ["leader", "follower", "after"].map(|key| store.exists(key).unwrap());
    assert_eq!(held, [false, false, true]);
    assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
}

// An append to a vector set that was given up and left its matrix behind would grow the store by what nobody has.
#[test]
fn an_append_of_vectors_that_is_given_up_adds_none() {
    let (_folder, store) = store();
    let set = store.vectors("v", 2, DType::F32, Metric::Cosine).unwrap();
    let past = Control::new().deadline(Instant::now());
    let rows = || Rows::of(2, &[1.0_f32, 2.0, 3.0, 4.0]).unwrap();
    for outcome in [set.append_within(&[1, 2], rows(), &past), set.upsert_within(&[1, 2], rows(), &past)] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
    }
    assert_eq!(set.len().unwrap(), 0);
    set.append_within(&[1, 2], rows(), &Control::new()).unwrap();
    assert_eq!(set.len().unwrap(), 2);
}

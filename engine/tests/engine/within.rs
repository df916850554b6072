//! Reads, puts and commits that a caller gives up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tensoratom::{Control, DType, Encoding, ErrorKind, Options, PutOptions, Store, Tensor};

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

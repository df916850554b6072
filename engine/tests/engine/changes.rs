//! Changes since a commit: every one, once, in order, over the bounds of pages.

use tensoratom::{Change, DType, Durability, ErrorKind, Expect, Key, Options, Store, Tensor};

fn listed(store: &Store, namespace: &str, since: u64) -> Vec<(u64, Key, bool)> {
    let changes: Vec<Change> = store.changes(namespace, since).unwrap().map(Result::unwrap).collect();
    changes.into_iter().map(|change| (change.lsn, change.key, change.is_put)).collect()
}

// A page that ended inside a commit lost the rest of it, or gave its last key twice.
#[test]
fn changes_of_a_commit_larger_than_a_page_are_listed_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("store"), &Options::new().durability(Durability::Process)).unwrap();
    let byte = [1_u8];
    let tensor = Tensor::new(DType::U8, &[1], &byte).unwrap();
    let mut expected = Vec::new();
    let mut txn = store.begin().unwrap();
    let mut keys: Vec<Key> = (-700..700).map(Key::Int).collect();
    keys.extend((0..1200).map(|i| Key::Name(format!("it's {i:04}").into())));
    for key in &keys {
        txn.put(key, &tensor).unwrap();
    }
    let first = txn.commit().unwrap();
    expected.extend(keys.iter().map(|key| (first, key.clone(), true)));
    store.delete("it's 0007").unwrap();
    let second = store.lsn().unwrap();
    expected.push((second, Key::Name("it's 0007".into()), false));
    store.put(7_i64, &tensor).unwrap();
    let third = store.lsn().unwrap();
    expected.push((third, Key::Int(7), true));
    assert_eq!(listed(&store, "", 0), expected);
    assert_eq!(listed(&store, "", first), expected[keys.len()..]);
    assert!(listed(&store, "", third).is_empty());
}

// A consumer of one tenant saw the keys of another; one that polled while others wrote never came to an end.
#[test]
fn changes_stay_in_their_namespace_and_end_at_the_newest_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("store"), &Options::new().durability(Durability::Process)).unwrap();
    let byte = [1_u8];
    let tensor = Tensor::new(DType::U8, &[1], &byte).unwrap();
    let tenant = store.create_namespace("o'brien").unwrap();
    store.put("ours", &tensor).unwrap();
    store.put(tenant.key("theirs"), &tensor).unwrap();
    let mut under_way = store.changes("", 0).unwrap();
    store.put("later", &tensor).unwrap();
    assert_eq!(under_way.next().unwrap().unwrap().key, Key::Name("ours".into()));
    assert!(under_way.next().is_none());
    assert_eq!(listed(&store, "o'brien", 0).len(), 1);
    assert_eq!(store.changes("absent", 0).unwrap_err().kind(), ErrorKind::NotFound);
}

// A collector deleted the new version of what it had listed as garbage.
#[test]
fn a_delete_of_a_version_spares_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("store"), &Options::new().durability(Durability::Process)).unwrap();
    let old = store.put("key", &Tensor::new(DType::U8, &[1], &[1]).unwrap()).unwrap();
    let mut late = store.begin().unwrap();
    let new = store.put("key", &Tensor::new(DType::U8, &[1], &[2]).unwrap()).unwrap();
    late.delete_with("key", Expect::Version(old)).unwrap();
    assert_eq!(late.commit().unwrap_err().kind(), ErrorKind::Conflict);
    let mut txn = store.begin().unwrap();
    assert!(txn.delete_with("key", Expect::Version(new)).unwrap());
    txn.commit().unwrap();
    assert!(store.info("key").is_err());
}

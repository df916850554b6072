//! What the interface promises, one idea per test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::check_integrity;
use tensoratom::testing::random::Random;
use tensoratom::{
    AsOf, Bytes, Control, DType, Durability, Encoding, ErrorKind, Expect, Key, ListOptions, Options, PutOptions,
    ReadMode, SqlValue, Store, Tensor, VerifyOptions,
};

fn store() -> Store {
    Store::open_on(SimDisk::new().process(), &small_options(Durability::Process), true).unwrap()
}

fn real_store(mode: ReadMode) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().durability(Durability::Process).read_mode(mode);
    let store = Store::create(dir.path().join("store"), &options).unwrap();
    (dir, store)
}

fn bytes_of(n: u8) -> [u8; 3] {
    [n, n, n]
}

fn put(store: &Store, key: &str, n: u8) -> u64 {
    store.put(key, &Tensor::from_slice(&[3], &bytes_of(n)).unwrap()).unwrap()
}

#[test]
fn every_element_type_comes_back_as_it_went_in() {
    let (_dir, store) = real_store(ReadMode::Mapped);
    for &dtype in DType::ALL.iter().filter(|&&dtype| dtype != DType::Opaque) {
        let len = tensoratom::byte_len(dtype, &[5, 9], &Encoding::Plain).unwrap();
        let bytes = Random::new(u64::from(dtype.number())).bytes(len as usize);
        store.put(dtype.name(), &Tensor::new(dtype, &[5, 9], &bytes).unwrap()).unwrap();
        let payload = store.get(dtype.name()).unwrap();
        assert_eq!((payload.info().dtype, &payload.info().shape[..]), (dtype, &[5, 9][..]));
        assert_eq!(*payload.bytes().unwrap(), *bytes);
    }
    let blocks = Encoding::Blocks { layout: "Q4_0".into(), elements: 32, bytes: 18 };
    let tensor = Tensor::encoded(DType::Opaque, &[2, 64], blocks.clone(), &[7; 72]).unwrap();
    store.put("blocks", &tensor).unwrap();
    assert_eq!(store.info("blocks").unwrap().encoding, blocks);
    let quantized = Encoding::Quantized { block: 0, scale: vec![0.1, -3.5e-20], zero_point: vec![3] };
    store.put("int8", &Tensor::encoded(DType::I8, &[4], quantized.clone(), &[1; 4]).unwrap()).unwrap();
    assert_eq!(store.info("int8").unwrap().encoding, quantized);
}

#[test]
fn empty_and_scalar_tensors_are_tensors() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let (_dir, store) = real_store(mode);
        store.put("empty", &Tensor::new(DType::F32, &[0, 7], &[]).unwrap()).unwrap();
        store.put("scalar", &Tensor::from_slice(&[], &[1.5_f64]).unwrap()).unwrap();
        assert!(store.get("empty").unwrap().bytes().unwrap().is_empty());
        assert!(store.get("empty").unwrap().view::<f32>().unwrap().is_empty());
        assert!(store.get("empty").unwrap().rows(0..0).unwrap().is_empty());
        assert_eq!(store.get("scalar").unwrap().view::<f64>().unwrap()[..], [1.5]);
        assert_eq!(store.get("scalar").unwrap().rows(0..1).unwrap_err().kind(), ErrorKind::InvalidShape);
        assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
    }
}

// A copy nobody asked for is what users of the alternatives complain about.
#[test]
fn a_mapped_read_copies_nothing_and_is_aligned() {
    let (_dir, store) = real_store(ReadMode::Mapped);
    let large: Vec<f32> = (0..50_000).map(|i| i as f32).collect();
    store.put("large", &Tensor::from_slice(&[50_000], &large).unwrap()).unwrap();
    store.put("small", &Tensor::from_slice(&[3], &[1.0_f32, 2.0, 3.0]).unwrap()).unwrap();
    let first = store.get("large").unwrap().bytes().unwrap();
    let again = store.get("large").unwrap().bytes().unwrap();
    assert!(first.is_mapped());
    assert_eq!(first.as_ptr(), again.as_ptr(), "two reads share one memory");
    assert_eq!(first.as_ptr().addr() % 4096, 0);
    assert_eq!(store.get("small").unwrap().bytes().unwrap().as_ptr().addr() % 64, 0);
    let row: Bytes = store.get("large").unwrap().range(400..404).unwrap();
    assert_eq!(row.as_ptr().addr(), first.as_ptr().addr() + 400);
}

#[test]
fn mapped_and_positioned_reads_give_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let options = Options::new().durability(Durability::Process).chunk_bytes(4096);
    let mapped = Store::create(&path, &options).unwrap();
    let positioned = Store::open(&path, &options.clone().read_mode(ReadMode::Positioned)).unwrap();
    assert!(mapped.is_same(&positioned));
    let mut random = Random::new(1);
    for len in [0, 1, 4095, 4096, 4097, 100_000] {
        let bytes = random.bytes(len);
        mapped.put(len as i64, &Tensor::new(DType::U8, &[len as u64], &bytes).unwrap()).unwrap();
        let (m, p) = (mapped.get(len as i64).unwrap(), positioned.get(len as i64).unwrap());
        assert_eq!(*m.bytes().unwrap(), *bytes);
        assert_eq!(*p.bytes().unwrap(), *bytes);
        assert!(!p.bytes().unwrap().is_mapped());
        for _ in 0..50 {
            let a = random.below(len as u64 + 1);
            let b = a + random.below(len as u64 - a + 1);
            let expected = &bytes[a as usize..b as usize];
            assert_eq!(*m.range(a..b).unwrap(), *expected);
            assert_eq!(*p.range(a..b).unwrap(), *expected);
            let mut target = vec![0; expected.len()];
            m.read_into(a, &mut target).unwrap();
            assert_eq!(target, expected);
        }
        for payload in [&m, &p] {
            let past = payload.range(0..len as u64 + 1).unwrap_err();
            assert_eq!(past.kind(), ErrorKind::InvalidArgument);
            assert!(payload.range(u64::MAX - 1..u64::MAX).is_err());
            assert!(payload.read_into(len as u64, &mut [0; 1]).is_err());
        }
    }
}

#[test]
fn rows_are_slices_of_the_first_dimension() {
    let (_dir, store) = real_store(ReadMode::Mapped);
    let values: Vec<i32> = (0..60).collect();
    store.put("m", &Tensor::from_slice(&[5, 3, 4], &values).unwrap()).unwrap();
    let payload = store.get("m").unwrap();
    let rows = payload.view_rows::<i32>(1..3).unwrap();
    assert_eq!((rows.shape(), &rows[..]), (&[2, 3, 4][..], &values[12..36]));
    assert_eq!(payload.rows(5..5).unwrap().len(), 0);
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = 3..2;
    for wrong in [4..6, 6..6, backwards] {
        assert_eq!(payload.rows(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(payload.view::<f32>().unwrap_err().kind(), ErrorKind::Unsupported, "i32 is not f32");
}

#[test]
fn bytes_outlive_key_and_store() {
    let (dir, store) = real_store(ReadMode::Mapped);
    put(&store, "a", 7);
    let payload = store.get("a").unwrap();
    let bytes = payload.bytes().unwrap();
    store.delete("a").unwrap();
    drop(store);
    drop(dir);
    assert_eq!(*bytes, bytes_of(7));
    assert_eq!(*payload.bytes().unwrap(), bytes_of(7));
}

#[test]
fn a_transaction_sees_itself_and_others_do_not_until_it_commits() {
    let store = store();
    put(&store, "a", 1);
    let mut txn = store.begin().unwrap();
    txn.put("a", &Tensor::from_slice(&[3], &bytes_of(2)).unwrap()).unwrap();
    txn.put("b", &Tensor::from_slice(&[3], &bytes_of(3)).unwrap()).unwrap();
    assert!(txn.delete("a").unwrap() && !txn.exists("a").unwrap() && txn.exists("b").unwrap());
    assert_eq!(txn.get("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(*txn.get("b").unwrap().bytes().unwrap(), bytes_of(3));
    assert!(store.exists("a").unwrap() && !store.exists("b").unwrap());
    let lsn = txn.commit().unwrap();
    assert!(!store.exists("a").unwrap());
    assert_eq!(store.info("b").unwrap().lsn, lsn);
}

#[test]
fn an_aborted_transaction_leaves_nothing_behind() {
    let store = store();
    put(&store, "a", 1);
    let before = store.stat().unwrap();
    for finish in [true, false] {
        let mut txn = store.begin().unwrap();
        let bytes = Random::new(1).bytes(300_000);
        txn.put("large", &Tensor::new(DType::U8, &[300_000], &bytes).unwrap()).unwrap();
        let mut writer = txn.writer("stream", DType::U8, &[None], &PutOptions::new()).unwrap();
        writer.append(&bytes).unwrap();
        if finish {
            writer.finish().unwrap();
        } else {
            drop(writer);
        }
        txn.abort();
    }
    let after = store.stat().unwrap();
    assert_eq!((after.accounted.live, after.accounted.dead), (before.accounted.live, before.accounted.dead));
    check_integrity(&store).unwrap();
}

#[test]
fn conditions_hold_at_commit_or_the_whole_transaction_fails() {
    let store = store();
    let first = put(&store, "a", 1);
    let tensor = Tensor::from_slice(&[3], &[9_u8; 3]).unwrap();
    let with = |expect| PutOptions::new().expect(expect);
    assert_eq!(store.put_with("a", &tensor, &with(Expect::Absent)).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(store.put_with("b", &tensor, &with(Expect::Version(first))).unwrap_err().kind(), ErrorKind::Conflict);
    // The condition is about the moment of the commit, not of the put.
    let mut txn = store.begin().unwrap();
    txn.put_with("a", &tensor, &with(Expect::Version(first))).unwrap();
    txn.put("innocent", &tensor).unwrap();
    put(&store, "a", 2);
    let error = txn.commit().unwrap_err();
    assert_eq!((error.kind(), error.key_text()), (ErrorKind::Conflict, Some("a")));
    assert!(!store.exists("innocent").unwrap(), "all or nothing");
    let current = store.info("a").unwrap().lsn;
    store.put_with("a", &tensor, &with(Expect::Version(current))).unwrap();
    store.put_with("new", &tensor, &with(Expect::Absent)).unwrap();
}

#[test]
fn rename_moves_and_refuses_to_overwrite() {
    let store = store();
    put(&store, "a", 1);
    put(&store, "b", 2);
    let mut txn = store.begin().unwrap();
    assert_eq!(txn.rename("a", "b").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(txn.rename("none", "c").unwrap_err().kind(), ErrorKind::NotFound);
    txn.rename("a", "c").unwrap();
    txn.commit().unwrap();
    assert!(!store.exists("a").unwrap());
    assert_eq!(*store.get("c").unwrap().bytes().unwrap(), bytes_of(1));
    // Somebody changed the key while it was being renamed: the change must not be lost.
    let mut txn = store.begin().unwrap();
    txn.rename("c", "d").unwrap();
    put(&store, "c", 5);
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn metadata_is_one_json_object_kept_as_written() {
    let store = store();
    let tensor = Tensor::from_slice(&[1], &[1_u8]).unwrap();
    let text = "{ \"layer\": 3,   \"name\": \"é\" }";
    store.put_with("a", &tensor, &PutOptions::new().metadata(text)).unwrap();
    assert_eq!(store.info("a").unwrap().metadata.as_deref(), Some(text));
    let rows = store.query("SELECT key FROM atoms WHERE json_extract(metadata, '$.layer') = 3", 10).unwrap().rows;
    assert_eq!(rows, [[SqlValue::Text("a".into())]]);
    let mut txn = store.begin().unwrap();
    txn.set_metadata("a", None).unwrap();
    txn.commit().unwrap();
    assert_eq!(store.info("a").unwrap().metadata, None);
    let too_long = format!("{{\"x\": \"{}\"}}", "y".repeat(1 << 20));
    for wrong in ["", "[]", "3", "null", "{", "{} {}", "{\"a\": }", too_long.as_str()] {
        let error = store.put_with("b", &tensor, &PutOptions::new().metadata(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMetadata, "{:.20}", wrong);
    }
    let just_fits = format!("{{\"x\": \"{}\"}}", "y".repeat((1 << 20) - 9));
    assert_eq!(just_fits.len(), 1 << 20);
    store.put_with("b", &tensor, &PutOptions::new().metadata(just_fits)).unwrap();
}

#[test]
fn parents_are_recorded_with_their_versions() {
    let store = store();
    let base = put(&store, "base", 1);
    let tensor = Tensor::from_slice(&[1], &[1_u8]).unwrap();
    let child = PutOptions::new().parents([Key::from("base")]);
    store.put_with("tuned", &tensor, &child).unwrap();
    let orphan = PutOptions::new().parents([Key::from("nobody")]);
    assert_eq!(store.put_with("x", &tensor, &orphan).unwrap_err().kind(), ErrorKind::NotFound);
    let rows = store.query("SELECT key, parent_key, parent_lsn FROM lineages", 10).unwrap().rows;
    let text = |text: &str| SqlValue::Text(text.into());
    assert_eq!(rows, [[text("tuned"), text("base"), SqlValue::Integer(base as i64)]]);
}

#[test]
fn streams_take_their_length_from_what_is_written() {
    let (_dir, store) = real_store(ReadMode::Mapped);
    let bytes = Random::new(4).bytes(10_000_000);
    let mut txn = store.begin().unwrap();
    let mut writer = txn.writer("s", DType::F32, &[None, Some(100)], &PutOptions::new().metadata("{}")).unwrap();
    for part in bytes.chunks(1_234_567) {
        writer.append(part).unwrap();
    }
    assert_eq!(writer.len_bytes(), 10_000_000);
    writer.finish().unwrap();
    // Rows that do not come out even are refused, and the transaction goes on.
    let mut writer = txn.writer("odd", DType::F32, &[None, Some(100)], &PutOptions::new()).unwrap();
    writer.append(&[0; 401]).unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::InvalidShape);
    let mut writer = txn.writer("fixed", DType::U8, &[Some(3)], &PutOptions::new()).unwrap();
    std::io::Write::write_all(&mut writer, &[1, 2, 3]).unwrap();
    writer.finish().unwrap();
    txn.commit().unwrap();
    let info = store.info("s").unwrap();
    assert_eq!((info.shape.as_slice(), info.bytes), (&[25_000, 100][..], 10_000_000));
    assert_eq!(*store.get("s").unwrap().bytes().unwrap(), *bytes);
    assert!(!store.exists("odd").unwrap() && store.exists("fixed").unwrap());
    assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
}

// A fine-tune that shares nine tenths of its tensors must not take ten tenths of the space, whichever way it arrives.
#[test]
fn equal_payloads_are_stored_once_per_namespace() {
    let (_dir, store) = real_store(ReadMode::Mapped);
    let bytes = Random::new(4).bytes(1 << 20);
    let tensor = Tensor::new(DType::U8, &[1 << 20], &bytes).unwrap();
    store.put("a", &tensor).unwrap();
    let stored = store.stat().unwrap().stored_bytes;
    store.put("b", &tensor).unwrap();
    let mut txn = store.begin().unwrap();
    txn.put("c", &Tensor::new(DType::F32, &[1 << 18], &bytes).unwrap()).unwrap();
    let mut writer = txn.writer("d", DType::U8, &[None], &PutOptions::new()).unwrap();
    writer.append(&bytes).unwrap();
    writer.finish().unwrap();
    txn.commit().unwrap();
    let stat = store.stat().unwrap();
    assert_eq!((stat.atoms, stat.payloads, stat.stored_bytes), (4, 1, stored));
    assert_eq!(stat.raw_bytes, 4 << 20);
    // Another tenant's copy is its own: whether it exists is nobody else's business.
    let tenant = store.create_namespace("tenant").unwrap();
    store.put(tenant.key("a"), &tensor).unwrap();
    assert_eq!(store.stat().unwrap().payloads, 2);
}

#[test]
fn namespaces_never_meet() {
    let store = store();
    let tenant = store.create_namespace("tenant").unwrap();
    put(&store, "a", 1);
    store.put(tenant.key("b"), &Tensor::from_slice(&[3], &bytes_of(2)).unwrap()).unwrap();
    assert_eq!(tenant.get("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.get("b").unwrap_err().kind(), ErrorKind::NotFound);
    let keys =
        |atoms: Vec<tensoratom::AtomInfo>| atoms.into_iter().map(|info| info.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys(tenant.list(&ListOptions::new()).unwrap()), ["b"]);
    assert_eq!(keys(store.list(&ListOptions::new()).unwrap()), ["a"]);
    assert_eq!(store.namespaces().unwrap(), ["", "tenant"]);
    assert_eq!(store.create_namespace("tenant").unwrap().name(), "tenant", "creating twice is no error");
    assert_eq!(store.namespace("none").unwrap_err().kind(), ErrorKind::NotFound);
    for wrong in ["\0", &"x".repeat(257)] {
        assert_eq!(store.create_namespace(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_snapshot_does_not_move() {
    let store = store();
    let first = put(&store, "a", 1);
    let snapshot = store.snapshot().unwrap();
    put(&store, "a", 2);
    put(&store, "b", 3);
    store.delete("a").unwrap();
    assert_eq!(*snapshot.get("a").unwrap().bytes().unwrap(), bytes_of(1));
    assert!(!snapshot.exists("b").unwrap());
    assert_eq!(snapshot.list(&ListOptions::new()).unwrap().len(), 1);
    assert_eq!(snapshot.lsn(), first);
    let second = store.snapshot_at(AsOf::Lsn(first + 1)).unwrap();
    assert_eq!(*second.get("a").unwrap().bytes().unwrap(), bytes_of(2));
    assert_eq!(store.snapshot_at(AsOf::Lsn(99)).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.snapshot_at(AsOf::Lsn(0)).unwrap().list(&ListOptions::new()).unwrap().is_empty());
}

// With a clock that goes back an hour, "as of" a time must still mean one state, the newest at that time.
#[test]
fn commit_times_never_go_backwards() {
    let disk = SimDisk::new();
    let store = Store::open_on(disk.process(), &small_options(Durability::Process), true).unwrap();
    put(&store, "a", 1);
    let before = store.info("a").unwrap().created_us;
    disk.set_now_us(before as i64 - 3_600_000_000);
    put(&store, "a", 2);
    let after = store.info("a").unwrap().created_us;
    assert!(after >= before);
    let snapshot = store.snapshot_at(AsOf::Time(after)).unwrap();
    assert_eq!(*snapshot.get("a").unwrap().bytes().unwrap(), bytes_of(2));
    assert!(!store.snapshot_at(AsOf::Time(before - 1)).unwrap().exists("a").unwrap());
}

#[test]
fn listing_pages_in_a_stable_order() {
    let store = store();
    let mut txn = store.begin().unwrap();
    let tensor = Tensor::from_slice(&[1], &[1_u8]).unwrap();
    for n in 0..250_i64 {
        txn.put(n - 100, &tensor).unwrap();
        txn.put(format!("n/{n}").as_str(), &tensor).unwrap();
    }
    txn.commit().unwrap();
    let mut seen: Vec<Key> = Vec::new();
    loop {
        let mut page = ListOptions::new().limit(37);
        if let Some(last) = seen.last() {
            page = page.after(last.clone());
        }
        let atoms = store.list(&page).unwrap();
        if atoms.is_empty() {
            break;
        }
        seen.extend(atoms.into_iter().map(|info| info.key));
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (500, &sorted));
    let under = store.list(&ListOptions::new().prefix("n/1").after("n/15")).unwrap();
    assert!(
        under.iter().all(|info| matches!(&info.key, Key::Name(name) if name.starts_with("n/1") && **name > *"n/15"))
    );
    assert_eq!(store.list(&ListOptions::new().prefix("n/").after(i64::MAX).limit(1)).unwrap()[0].key, Key::from("n/0"));
}

// "Garbage" that nobody can account for is the most frequent complaint about stores like this one.
#[test]
fn deleting_moves_exactly_the_record_from_live_to_history() {
    let store = store();
    let bytes = Random::new(4).bytes(50_000);
    let tensor = Tensor::new(DType::U8, &[50_000], &bytes).unwrap();
    store.put("a", &tensor).unwrap();
    store.put("b", &tensor).unwrap();
    put(&store, "c", 1);
    let before = store.stat().unwrap();
    store.delete("a").unwrap();
    let one_left = store.stat().unwrap();
    assert_eq!(one_left.accounted.live, before.accounted.live, "another key still uses the payload");
    store.delete("b").unwrap();
    let none_left = store.stat().unwrap();
    let moved = before.accounted.live - none_left.accounted.live;
    assert!((50_000..50_000 + 8192).contains(&moved), "{moved}");
    assert_eq!(none_left.accounted.history, moved);
    let dead = store.query("SELECT sum(dead_bytes) FROM segments", 1).unwrap().rows;
    assert_eq!(dead, [[SqlValue::Integer(moved as i64)]], "the segment's own account agrees");
    store.put("again", &tensor).unwrap();
    let again = store.stat().unwrap();
    assert_eq!(
        (again.accounted.live, again.accounted.history),
        (before.accounted.live, 0),
        "put again, it lives again"
    );
    check_integrity(&store).unwrap();
    assert!(!store.delete("none").unwrap());
}

#[test]
fn deleting_a_prefix_deletes_what_is_under_it() {
    let store = store();
    for key in ["m/a", "m/b", "n/a", "m"] {
        put(&store, key, 1);
    }
    let mut txn = store.begin().unwrap();
    txn.put("m/new", &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
    assert_eq!(txn.delete_prefix(None, "m/").unwrap(), 3);
    txn.commit().unwrap();
    let keys: Vec<_> = store.list(&ListOptions::new()).unwrap().into_iter().map(|info| info.key.to_string()).collect();
    assert_eq!(keys, ["m", "n/a"]);
}

#[test]
fn threads_commit_at_once_and_each_learns_its_own_outcome() {
    let disk = SimDisk::new();
    let store = Arc::new(Store::open_on(disk.process(), &small_options(Durability::Full), true).unwrap());
    let mut lsns: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let store = Arc::clone(&store);
                scope.spawn(move || {
                    let commit = |i: u64| {
                        let wrong = PutOptions::new().expect(Expect::Version(u64::MAX));
                        let value = [thread * 100 + i];
                        let tensor = Tensor::from_slice(&[1], &value).unwrap();
                        // Every third request fails; its neighbours in the group must not notice.
                        if i % 3 == 2 {
                            let error = store.put_with("x", &tensor, &wrong).unwrap_err();
                            assert_eq!(error.kind(), ErrorKind::Conflict);
                            return None;
                        }
                        Some(store.put((thread * 100 + i) as i64, &tensor).unwrap())
                    };
                    (0..24).filter_map(commit).collect::<Vec<u64>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    lsns.sort_unstable();
    assert_eq!(lsns, (1..=128).collect::<Vec<u64>>(), "every commit has its own number");
    assert_eq!(store.list(&ListOptions::new()).unwrap().len(), 128);
    check_integrity(&store).unwrap();
}

#[test]
fn readers_are_not_blocked_by_an_open_transaction() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let (one, two) = (disk.process(), disk.process());
    let writer = Store::open_on(one, &options, true).unwrap();
    put(&writer, "a", 1);
    let reader = Store::open_on(two, &options, false).unwrap();
    let mut txn = writer.begin().unwrap();
    txn.put("a", &Tensor::from_slice(&[3], &bytes_of(2)).unwrap()).unwrap();
    assert_eq!(*reader.get("a").unwrap().bytes().unwrap(), bytes_of(1));
    put(&reader, "b", 3);
    txn.commit().unwrap();
    assert_eq!(*reader.get("a").unwrap().bytes().unwrap(), bytes_of(2), "visible in the other process at once");
}

#[test]
fn a_read_only_handle_refuses_every_change() {
    let (dir, store) = real_store(ReadMode::Mapped);
    put(&store, "a", 1);
    let reader = Store::open(dir.path().join("store"), &Options::new().read_only(true)).unwrap();
    assert_eq!(*reader.get("a").unwrap().bytes().unwrap(), bytes_of(1));
    assert_eq!(reader.begin().unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(reader.delete("a").unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(reader.create_namespace("x").unwrap_err().kind(), ErrorKind::ReadOnly);
    put(&store, "b", 2);
    assert!(reader.exists("b").unwrap(), "it sees what others write");
}

#[test]
fn queries_read_and_do_nothing_else() {
    let store = store();
    put(&store, "a", 1);
    for view in ["atoms", "versions", "payloads", "segments", "commits", "changes", "lineages", "manifests"] {
        store.query(&format!("SELECT * FROM {view}"), 100).unwrap();
    }
    for refused in [
        "DELETE FROM atom_version",
        "UPDATE head SET lsn = 0",
        "PRAGMA query_only = OFF",
        "ATTACH '/tmp/x' AS x",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT 1; SELECT 2",
        "CREATE TABLE t (x)",
        "VACUUM",
        "nonsense",
        "",
    ] {
        let error = store.query(refused, 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{refused}: {error:?}");
    }
    assert_eq!(store.query("SELECT * FROM atoms, atoms, atoms", 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let recursive = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT sum(x) FROM n";
    assert_eq!(store.query(recursive, 1).unwrap().rows, [[SqlValue::Integer(15)]]);
}

#[test]
fn long_operations_can_be_cancelled() {
    let (_dir, store) = real_store(ReadMode::Mapped);
    put(&store, "a", 1);
    let cancel = AtomicBool::new(true);
    let error = store.verify(&VerifyOptions::new(), &Control::new().cancel(&cancel)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    cancel.store(false, Ordering::Relaxed);
    assert!(store.verify(&VerifyOptions::new(), &Control::new().cancel(&cancel)).unwrap().is_sound());
}

// The account must hold whatever happened before, and after the store was closed and opened.
#[test]
fn stat_explains_every_byte() {
    let (dir, store) = real_store(ReadMode::Mapped);
    let path = dir.path().join("store");
    let size_of = |path: &std::path::Path| -> u64 {
        let entries =
            |dir: &std::path::Path| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).collect::<Vec<_>>();
        let files = entries(path).into_iter().chain(entries(&path.join("segments")));
        files.map(|entry| entry.metadata().unwrap()).filter(|meta| meta.is_file()).map(|meta| meta.len()).sum()
    };
    let check = |store: &Store| {
        let stat = store.stat().unwrap();
        assert_eq!(stat.accounted.total(), stat.disk_bytes);
        assert_eq!(stat.disk_bytes, size_of(&path));
    };
    check(&store);
    for n in 0..20 {
        put(&store, &format!("{n}"), n);
    }
    store.delete("3").unwrap();
    check(&store);
    std::fs::write(path.join("a stranger's file"), [0; 77]).unwrap();
    check(&store);
    drop(store);
    check(&Store::open(&path, &Options::new()).unwrap());
}

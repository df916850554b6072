//! Random transactions against ordinary maps: several namespaces, snapshots that must not move, reopening, aborted
//! transactions; on a real directory and on the simulated machine, mapped and positioned.

use std::sync::Arc;

use proptest::prelude::*;
use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::{COLD, small_options};
use tensoratom::testing::oracle::{State, Step, VECTOR_DIM, Vectors, check_integrity, run_moves, run_step};
use tensoratom::testing::random::Random;
use tensoratom::{Durability, ErrorKind, Key, ListOptions, Options, ReadMode, Snapshot, Store, Tier, WriteTxn};

const NAMESPACES: [&str; 3] = ["", "tenant", "other"];

#[derive(Clone, Debug)]
enum Act {
    /// A transaction in a namespace; aborted if the flag says so.
    Transaction(usize, Vec<Step>, bool),
    /// Take a snapshot and remember what it shows.
    Snapshot,
    /// Close and open again.
    Reopen,
    /// Take the cold disk away, or bring it back, where there is one.
    ColdDisk(bool),
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        (0..6_i64).prop_map(|n| Key::Int(n - 3)),
        "[ab/]{1,3}".prop_map(Key::from),
        Just(Key::from("\u{10FFFF}é")),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    // Few distinct payloads, so that duplicates are common; some empty, some of several chunks, some with segments of
    // their own.
    let len = prop_oneof![Just(0), 1..200_usize, Just(4096), 4000..20_000_usize, Just(70_000), Just(250_000)];
    // Some differ from others in few bytes: as versions of one key they go to cold as deltas.
    (len, 0..3_u64, 0..3_u8).prop_map(|(len, seed, change)| {
        let mut bytes = Random::new(seed).bytes(len);
        bytes.iter_mut().step_by(101).for_each(|byte| *byte ^= change);
        bytes
    })
}

fn metadata() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), Just(Some("{}".to_owned())), (0..9).prop_map(|n| Some(format!("{{\"n\": {n}}}")))]
}

fn set_name() -> impl Strategy<Value = String> {
    "[st]"
}

fn vectors() -> impl Strategy<Value = Vec<(i64, Vec<u8>)>> {
    let vector = prop::collection::vec(any::<u8>(), VECTOR_DIM);
    prop::collection::btree_map(-9..9_i64, vector, 0..9).prop_map(|vectors| vectors.into_iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (key(), payload(), metadata()).prop_map(|(key, bytes, metadata)| Step::Put(key, bytes, metadata)),
        1 => (key(), payload()).prop_map(|(key, bytes)| Step::Stream(key, bytes)),
        2 => key().prop_map(Step::Delete),
        1 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (key(), metadata()).prop_map(|(key, metadata)| Step::SetMetadata(key, metadata)),
        2 => (set_name(), vectors()).prop_map(|(set, vectors)| Step::Upsert(set, vectors)),
        1 => (set_name(), prop::collection::vec(-9..9_i64, 0..9)).prop_map(|(set, ids)| Step::DeleteVectors(set, ids)),
        1 => set_name().prop_map(Step::Compact),
        1 => set_name().prop_map(Step::DropVectors),
        1 => prop::bool::ANY.prop_map(Step::Gc),
        1 => prop::bool::ANY.prop_map(|pins| Step::Maintain(if pins {
            r#"{"rules": [{"tier": "cold"}], "pins": [{"prefix": ""}], "min_bytes": 0}"#.to_owned()
        } else {
            r#"{"rules": [{"tier": "cold"}], "min_bytes": 0}"#.to_owned()
        })),
        1 => prop::bool::ANY.prop_map(|cold| Step::Move(String::new(), if cold { Tier::Cold } else { Tier::Warm })),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..NAMESPACES.len(), prop::collection::vec(step(), 0..6), prop::bool::weighted(0.15))
            .prop_map(|(namespace, steps, abort)| Act::Transaction(namespace, steps, abort)),
        1 => Just(Act::Snapshot),
        1 => Just(Act::Reopen),
        1 => prop::bool::ANY.prop_map(Act::ColdDisk),
    ]
}

/// The contents of all namespaces.
type Contents = [State; 3];

fn check_contents(expected: &Contents, store: &Store, snapshot: &Snapshot) -> Result<(), TestCaseError> {
    for (name, state) in NAMESPACES.iter().zip(expected) {
        let namespace = store.namespace(name).unwrap();
        let snapshot = snapshot.in_namespace(&namespace);
        let keys: Vec<Key> = snapshot.list(&ListOptions::new()).unwrap().into_iter().map(|info| info.key).collect();
        prop_assert_eq!(&keys, &state.0.keys().cloned().collect::<Vec<_>>());
        for (key, expected) in &state.0 {
            let payload = snapshot.get(key).unwrap();
            prop_assert_eq!(&*payload.bytes().unwrap(), &*expected.bytes);
            prop_assert_eq!(&payload.info().metadata, &expected.metadata);
        }
        check_pages(&snapshot, &keys)?;
        let sets = snapshot.vector_sets().unwrap();
        prop_assert_eq!(sets.iter().map(|set| set.name()).collect::<Vec<_>>(), state.1.keys().collect::<Vec<_>>());
        for (set, expected) in sets.iter().zip(state.1.values()) {
            let vectors: Vectors = set.iter().map(|v| v.map(|(id, bytes)| (id, bytes.to_vec())).unwrap()).collect();
            prop_assert_eq!(&vectors, expected);
            prop_assert_eq!(set.len(), expected.len() as u64);
            let ids: Vec<i64> = (-10..10).collect();
            let got: Vec<_> = set.get(&ids).unwrap().into_iter().map(|v| v.map(|bytes| bytes.to_vec())).collect();
            prop_assert_eq!(got, ids.iter().map(|id| expected.get(id).cloned()).collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// Pages of two and prefixes give together what one listing gives.
fn check_pages(snapshot: &Snapshot, keys: &[Key]) -> Result<(), TestCaseError> {
    let mut paged: Vec<Key> = Vec::new();
    loop {
        let mut options = ListOptions::new().limit(2);
        if let Some(last) = paged.last() {
            options = options.after(last.clone());
        }
        let page = snapshot.list(&options).unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page.into_iter().map(|info| info.key));
    }
    prop_assert_eq!(&paged, keys);
    for prefix in ["a", "a/", "\u{10FFFF}"] {
        let listed = snapshot.list(&ListOptions::new().prefix(prefix)).unwrap();
        let expected = keys.iter().filter(|key| matches!(key, Key::Name(name) if name.starts_with(prefix)));
        prop_assert_eq!(listed.iter().map(|info| &info.key).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    Ok(())
}

/// Read-your-own-writes: inside the transaction the expected state is visible already.
fn check_inside(txn: &mut WriteTxn, store: &Store, namespace: &str, state: &State) -> Result<(), TestCaseError> {
    let namespace = store.namespace(namespace).unwrap();
    for (key, expected) in &state.0 {
        let payload = txn.get(namespace.key(key)).unwrap();
        prop_assert_eq!(&*payload.bytes().unwrap(), &*expected.bytes);
        prop_assert_eq!(&payload.info().metadata, &expected.metadata);
    }
    prop_assert!(!txn.exists(namespace.key("not there")).unwrap());
    for (name, expected) in &state.1 {
        let mut set = txn.vectors(namespace.key(name)).unwrap();
        prop_assert_eq!(set.len().unwrap(), expected.len() as u64);
        for id in -10..10 {
            prop_assert_eq!(set.contains(id).unwrap(), expected.contains_key(&id));
        }
    }
    Ok(())
}

/// Without the cold disk: whatever is not in it is there, what is there is right.
fn check_away(expected: &Contents, store: &Store) -> Result<(), TestCaseError> {
    for (name, state) in NAMESPACES.iter().zip(expected) {
        let namespace = store.namespace(name).unwrap();
        let snapshot = store.snapshot().unwrap().in_namespace(&namespace);
        let keys: Vec<Key> = snapshot.list(&ListOptions::new()).unwrap().into_iter().map(|info| info.key).collect();
        prop_assert_eq!(&keys, &state.0.keys().cloned().collect::<Vec<_>>());
        for (key, expected) in &state.0 {
            let payload = snapshot.get(key).unwrap();
            match payload.bytes() {
                Ok(bytes) => prop_assert_eq!(&*bytes, &*expected.bytes),
                Err(e) => {
                    prop_assert_eq!((e.kind(), payload.info().tier), (ErrorKind::ColdUnavailable, Some(Tier::Cold)));
                }
            }
        }
    }
    Ok(())
}

/// Whether something could be done; without the cold disk it may be that it needs what lies there.
fn could<T>(away: bool, done: tensoratom::Result<T>) -> bool {
    match done {
        Err(e) if away && e.kind() == ErrorKind::ColdUnavailable => false,
        done => {
            done.unwrap();
            true
        }
    }
}

/// `cold_disk` takes the cold disk away or brings it back, and says whether it is away now.
fn run(acts: &[Act], open: impl Fn() -> Store, cold_disk: impl Fn(bool) -> bool) -> Result<(), TestCaseError> {
    let mut away = false;
    let mut store = open();
    NAMESPACES[1..].iter().for_each(|name| drop(store.create_namespace(name).unwrap()));
    let mut contents = Contents::default();
    let mut snapshots: Vec<(Snapshot, Contents)> = Vec::new();
    for act in acts {
        match act {
            Act::Transaction(which, steps, abort) => {
                let namespace = store.namespace(NAMESPACES[*which]).unwrap();
                let mut after = contents[*which].clone();
                let mut txn = store.begin().unwrap();
                let all = steps.iter().all(|step| {
                    after.apply(step);
                    could(away, run_step(&mut txn, &namespace, step))
                });
                if !away {
                    check_inside(&mut txn, &store, NAMESPACES[*which], &after)?;
                }
                if *abort || !all {
                    txn.abort();
                } else if could(away, txn.commit()) {
                    could(away, run_moves(&store, &namespace, steps));
                    contents[*which] = after;
                }
            }
            Act::ColdDisk(goes) => away = cold_disk(*goes),
            Act::Snapshot => snapshots.push((store.snapshot().unwrap(), contents.clone())),
            Act::Reopen => {
                let lsns: Vec<_> = snapshots.drain(..).map(|(snapshot, seen)| (snapshot.lsn(), seen)).collect();
                drop(store);
                store = open();
                let again = |(lsn, seen)| (store.snapshot_at(tensoratom::AsOf::Lsn(lsn)).unwrap(), seen);
                snapshots = lsns.into_iter().map(again).collect();
            }
        }
        match away {
            true => check_away(&contents, &store)?,
            false => check_contents(&contents, &store, &store.snapshot().unwrap())?,
        }
    }
    cold_disk(false);
    check_contents(&contents, &store, &store.snapshot().unwrap())?;
    for (snapshot, seen) in &snapshots {
        check_contents(seen, &store, snapshot)?;
    }
    prop_assert_eq!(check_integrity(&store), Ok(()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_real_directory_behaves_like_maps(acts in prop::collection::vec(act(), 1..25), positioned: bool) {
        let dir = tempfile::tempdir().unwrap();
        let mode = if positioned { ReadMode::Positioned } else { ReadMode::Mapped };
        let options: Options = small_options(Durability::Process).read_mode(mode);
        run(&acts, || Store::open_or_create(dir.path().join("store"), &options).unwrap(), |_| false)?;
    }

    #[test]
    fn the_simulated_machine_behaves_like_maps(acts in prop::collection::vec(act(), 1..25), full: bool) {
        let disk = SimDisk::new();
        let durability = if full { Durability::Full } else { Durability::Process };
        let options = small_options(durability).cold_directory(COLD);
        let cold_disk = |goes| {
            disk.set_cold_missing(goes);
            goes
        };
        drop(Store::open_on(disk.process(), &options, true).unwrap());
        let options = small_options(durability);
        run(&acts, || Store::open_on(disk.process(), &options, false).unwrap(), cold_disk)?;
    }

    // Several simulated processes with one store: each commit is seen by all others at once.
    #[test]
    fn processes_see_each_other(acts in prop::collection::vec((0..3_usize, prop::collection::vec(step(), 1..4)), 1..15)) {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full);
        let stores: Vec<Store> = (0..3).map(|_| Store::open_on(disk.process(), &options, true).unwrap()).collect();
        let default = stores[0].namespace("").unwrap();
        let mut state = State::default();
        for (who, steps) in &acts {
            let mut txn = stores[*who].begin().unwrap();
            for step in steps {
                run_step(&mut txn, &default, step).unwrap();
                state.apply(step);
            }
            txn.commit().unwrap();
            run_moves(&stores[*who], &default, steps).unwrap();
            for store in &stores {
                prop_assert_eq!(state.compare(store), Ok(()));
            }
        }
        prop_assert_eq!(check_integrity(&stores[2]), Ok(()));
    }

    // What the catalog says can be had from the segments alone, history included.
    #[test]
    fn a_rebuilt_catalog_is_the_same(acts in prop::collection::vec(act(), 1..15)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let options = small_options(Durability::Process);
        // Beside the store, as if it were another disk.
        let cold = options.clone().cold_directory("../cold");
        run(&acts, || Store::open_or_create(&path, &cold).unwrap(), |_| false)?;
        let dump = || {
            let store = Store::open(&path, &options).unwrap();
            let all = [
                "versions", "payloads", "commits", "lineages", "manifests", "changes", "vector_sets", "vector_parts",
            ];
            all.map(|view| store.query(&format!("SELECT * FROM {view} ORDER BY 1, 2, 3, 4"), 100_000).unwrap())
        };
        let before = dump();
        let rebuild = tensoratom::RepairOptions::new().rebuild_catalog(true);
        let report = tensoratom::repair(&path, &rebuild, &tensoratom::Control::new()).unwrap();
        prop_assert_eq!((&report.findings, &report.commits_missing), (&vec![], &vec![]));
        prop_assert_eq!(before, dump());
        let store = Store::open(&path, &options).unwrap();
        prop_assert_eq!(check_integrity(&store), Ok(()));
    }
}

// Shared by every handle of a process: opening twice gives the same store, in either order of closing.
#[test]
fn a_path_opens_once_per_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let first = Store::create(&path, &Options::new()).unwrap();
    let second = Store::open(dir.path().join(".").join("store"), &Options::new()).unwrap();
    assert!(first.is_same(&second));
    drop(first);
    second.put("k", &tensoratom::Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
    let reader = Store::open(&path, &Options::new().read_only(true)).unwrap();
    assert!(!reader.is_same(&second), "a read-only handle refuses writes, so it is one of its own");
    assert!(reader.exists("k").unwrap());
    let many: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || Store::open(path, &Options::new()).unwrap())
        })
        .collect();
    let stores: Vec<Arc<Store>> = many.into_iter().map(|thread| Arc::new(thread.join().unwrap())).collect();
    assert!(stores.iter().all(|store| store.is_same(&second)));
}

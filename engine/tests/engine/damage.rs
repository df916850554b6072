//! Damage of every kind to every file of a store: no damaged byte is ever returned as good, nothing panics, no signal
//! arrives, and what the damage did not touch is still served.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::{Expected, State, Step, commit_steps};
use tensoratom::testing::random::{Random, effort, seed};
use tensoratom::testing::{Image, SimDisk, Volume};
use tensoratom::{Control, Durability, ErrorKind, Key, ListOptions, ReadMode, RepairOptions, Store, Tier};

use crate::at::FileExt;

fn put(key: &str, len: usize, seed: u64) -> Step {
    Step::Put(Key::from(key), Random::new(seed).bytes(len), Some(format!("{{\"seed\":{seed}}}")))
}

/// Atoms of all sizes, duplicates, history, deleted keys, several segments, some sealed.
fn workload() -> Vec<Vec<Step>> {
    let mut commits = vec![
        vec![put("empty", 0, 1), put("tiny", 5, 2), put("page", 4096, 3), put("small", 9_000, 4)],
        vec![put("large", 150_000, 5), put("twin", 150_000, 5)],
        vec![Step::Stream("stream".into(), Random::new(6).bytes(70_000))],
        vec![put("tiny", 6, 7), Step::Delete("page".into())],
        vec![Step::Put("plain".into(), vec![7; 30_000], None), Step::Move("plain".into(), Tier::Cold)],
        vec![Step::Rename("small".into(), "renamed".into())],
    ];
    commits.extend((0..12).map(|i| vec![put(&format!("many/{i}"), 5_000 + i as usize * 777, 100 + i)]));
    commits
}

fn expected() -> State {
    let mut state = State::default();
    workload().iter().flatten().for_each(|step| state.apply(step));
    state
}

/// A store that was closed in order, and one whose process died, with SQLite's log full of commits.
fn images() -> [Image; 2] {
    let options = small_options(Durability::Full);
    let disk = SimDisk::new();
    let process = disk.process();
    let store = Store::open_on(Arc::clone(&process) as Arc<dyn Volume>, &options, true).unwrap();
    workload().iter().for_each(|steps| assert!(commit_steps(&store, steps).unwrap() > 0));
    process.kill();
    drop(store);
    let died = disk.image();
    drop(Store::open_on(disk.process(), &options, false).unwrap());
    [disk.image(), died]
}

/// What a mutation touched.
struct Mutation {
    file: String,
    start: u64,
    end: u64,
    what: String,
}

fn mutate(image: &mut Image, random: &mut Random) -> Mutation {
    let names: Vec<String> =
        image.files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(n, _)| n.clone()).collect();
    // The ballast holds nothing; the shared memory is made anew at every open.
    let names: Vec<String> = names.into_iter().filter(|n| n != "ballast" && !n.ends_with("-shm")).collect();
    let file = random.pick(&names).clone();
    let donor = image.files[random.pick(&names)].clone();
    let bytes = image.files.get_mut(&file).unwrap();
    let len = bytes.len() as u64;
    let at = random.below(len);
    let page = |n: u64| (n / 4096 * 4096) as usize;
    let page_end = |start: usize, len: usize| (start + 4096).min(len);
    let (start, end, what) = match random.below(7) {
        0 | 1 => {
            bytes[at as usize] ^= 1 << random.below(8);
            (at, at + 1, "flipped bit")
        }
        2 => {
            bytes[at as usize] = random.below(256) as u8;
            (at, at + 1, "changed byte")
        }
        3 => {
            let (a, b) = (page(at), page(random.below(len)));
            let (low, high) = (a.min(b), a.max(b));
            if page_end(high, bytes.len()) - high == 4096 && low != high {
                let (head, tail) = bytes.split_at_mut(high);
                head[low..low + 4096].swap_with_slice(&mut tail[..4096]);
            }
            (low as u64, high as u64 + 4096, "swapped pages")
        }
        4 => {
            let start = page(at);
            let end = page_end(start, bytes.len());
            bytes[start..end].fill(0);
            (start as u64, end as u64, "zeroed page")
        }
        5 => {
            bytes.truncate(at as usize);
            (at, u64::MAX, "truncated")
        }
        _ => {
            // Bytes of another place, often a whole record, put where they do not belong.
            let from = random.below(donor.len() as u64) as usize / 64 * 64;
            let to = at as usize / 64 * 64;
            let n = (random.below(8_000) as usize).min(donor.len() - from).min(bytes.len() - to);
            bytes[to..to + n].copy_from_slice(&donor[from..from + n]);
            (to as u64, (to + n) as u64, "spliced bytes")
        }
    };
    Mutation { what: format!("{what} in {file} at {start}"), file, start, end }
}

/// Where each current atom's record lies: segment, start, end.
fn places(image: &Image) -> BTreeMap<String, (u64, u64, u64)> {
    let store = Store::open_on(SimDisk::from_image(image).process(), &small_options(Durability::Full), false).unwrap();
    let sql = "SELECT a.key, p.segment, p.offset, p.stored_bytes FROM atoms a JOIN payloads p ON p.digest = a.digest";
    let number = |value: &tensoratom::SqlValue| match value {
        tensoratom::SqlValue::Integer(n) => *n as u64,
        other => panic!("{other:?}"),
    };
    let rows = store.query(sql, 1000).unwrap().rows;
    rows.iter()
        .map(|row| {
            let tensoratom::SqlValue::Text(key) = &row[0] else { panic!() };
            let (segment, offset, stored) = (number(&row[1]), number(&row[2]), number(&row[3]));
            // Header, alignment and table around the payload; generously.
            (key.clone(), (segment, offset, offset + stored + 4096 + 1024))
        })
        .collect()
}

#[derive(Default, Debug)]
struct Tally {
    trials: u64,
    harmless: u64,
    refused_to_open: u64,
    atoms_refused: u64,
    atoms_served: u64,
    repaired: u64,
}

/// Reads everything; panics if anything wrong is returned as right.
fn check(store: &Store, expected: &State, touched: impl Fn(&str) -> bool, context: &str, tally: &mut Tally) -> bool {
    let listed = match store.list(&ListOptions::new()) {
        Ok(listed) => listed,
        Err(e) => {
            assert!(is_damage(e.kind()), "{context}: {e:?}");
            return false;
        }
    };
    let keys: Vec<&Key> = listed.iter().map(|info| &info.key).collect();
    assert_eq!(keys, expected.0.keys().collect::<Vec<_>>(), "{context}: other keys");
    let mut all = true;
    for (key, Expected { bytes, metadata }) in &expected.0 {
        let read = store.get(key).and_then(|payload| {
            assert_eq!(payload.info().metadata, *metadata, "{context}: metadata of '{key}'");
            payload.bytes()
        });
        match read {
            Ok(read) => {
                assert!(*read == **bytes, "{context}: damaged bytes of '{key}' came back as good");
                tally.atoms_served += 1;
            }
            Err(e) => {
                assert!(is_damage(e.kind()), "{context}: '{key}': {e:?}");
                assert!(
                    e.kind() == ErrorKind::CatalogCorrupt || touched(&key.to_string()),
                    "{context}: '{key}' is not served although the damage lies elsewhere: {e:?}"
                );
                tally.atoms_refused += 1;
                all = false;
            }
        }
    }
    all
}

fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::CatalogCorrupt | ErrorKind::NotAStore | ErrorKind::NewerFormat)
}

fn trial(image: &Image, expected: &State, places: &BTreeMap<String, (u64, u64, u64)>, seed: u64, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let mut damaged = image.clone();
    let mutation = mutate(&mut damaged, &mut random);
    let context = format!("seed {seed}, {}", mutation.what);
    tally.trials += 1;
    let segment: Option<u64> =
        mutation.file.strip_prefix("segments/").and_then(|leaf| leaf.strip_suffix(".seg")?.parse().ok());
    let touched = |key: &str| {
        places.get(key).is_some_and(|&(in_segment, start, end)| {
            segment == Some(in_segment) && start < mutation.end && mutation.start < end
        })
    };
    let mode = if random.one_in(2) { ReadMode::Mapped } else { ReadMode::Positioned };
    let options = small_options(Durability::Full).read_mode(mode);
    let disk = SimDisk::from_image(&damaged);
    match Store::open_on(disk.process(), &options, false) {
        Ok(store) => {
            if check(&store, expected, touched, &context, tally) {
                tally.harmless += 1;
            }
        }
        Err(e) => {
            assert!(is_damage(e.kind()), "{context}: {e:?}");
            assert!(segment.is_none(), "{context}: damage in a segment must not keep the store from opening: {e:?}");
            tally.refused_to_open += 1;
        }
    }
    // Whatever happened to the catalog or to store.json: the segments have it all.
    if segment.is_none() && random.one_in(4) {
        let disk = SimDisk::from_image(&damaged);
        let rebuild = RepairOptions::new().rebuild_catalog(true);
        tensoratom::testing::repair_on(disk.process(), &rebuild, &Control::new())
            .unwrap_or_else(|e| panic!("{context}: repair: {e:?}"));
        let store = Store::open_on(disk.process(), &options, false)
            .unwrap_or_else(|e| panic!("{context}: opening after repair: {e:?}"));
        assert!(
            check(&store, expected, |_| false, &format!("{context}, repaired"), tally),
            "{context}: not all is back"
        );
        tally.repaired += 1;
    }
}

/// Runs trials on both kinds of store.
fn trials(count: u64, first_seed: u64) {
    let expected = expected();
    for image in images() {
        let places = places(&image);
        let mut tally = Tally::default();
        for seed in first_seed..first_seed + count {
            trial(&image, &expected, &places, seed, &mut tally);
        }
        println!("{tally:?}");
        assert!(tally.atoms_refused > 0 && tally.refused_to_open > 0 && tally.repaired > 0, "the trials prove nothing");
    }
}

#[test]
fn ten_thousand_mutations_return_nothing_wrong() {
    trials(effort(5_000), seed(1));
}

// On the simulated machine a map is a copy. Here it is a real one: a truncated file must give an error, not SIGBUS.
#[test]
fn mutations_of_real_mapped_files_raise_no_signal() {
    let expected = expected();
    let [closed, _] = images();
    let places = places(&closed);
    let mut tally = Tally::default();
    let first = seed(50_000);
    for seed in first..first + effort(600) {
        let mut random = Random::new(seed);
        let mut damaged = closed.clone();
        let mutation = mutate(&mut damaged, &mut random);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        fs::create_dir_all(path.join("segments")).unwrap();
        for (name, bytes) in &damaged.files {
            fs::write(path.join(name), bytes).unwrap();
        }
        let segment: Option<u64> =
            mutation.file.strip_prefix("segments/").and_then(|leaf| leaf.strip_suffix(".seg")?.parse().ok());
        let touched = |key: &str| {
            places.get(key).is_some_and(|&(in_segment, start, end)| {
                segment == Some(in_segment) && start < mutation.end && mutation.start < end
            })
        };
        let context = format!("seed {seed}, {}", mutation.what);
        if let Ok(store) = Store::open(&path, &small_options(Durability::Full)) {
            check(&store, &expected, touched, &context, &mut tally);
        }
    }
    println!("{tally:?}");
}

// The file is cut while the store is open: what was not touched before must give an error, what is held in positioned
// mode as well, and the store must still serve the rest.
#[test]
fn a_file_truncated_while_open_is_an_error() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let options = small_options(Durability::Process).read_mode(mode);
        let store = Store::create(&path, &options).unwrap();
        commit_steps(&store, &[put("first", 20_000, 1)]).unwrap();
        commit_steps(&store, &[put("second", 20_000, 2)]).unwrap();
        let first = store.get("first").unwrap();
        assert_eq!(*first.bytes().unwrap(), *Random::new(1).bytes(20_000));
        let segment = path.join("segments/00000001.seg");
        let rows = store.query("SELECT offset FROM payloads ORDER BY offset", 10).unwrap().rows;
        let tensoratom::SqlValue::Integer(second_offset) = rows[1][0] else { panic!() };
        fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(second_offset as u64 + 100).unwrap();
        let second = store.get("second").and_then(|payload| payload.bytes());
        assert_eq!(second.unwrap_err().kind(), ErrorKind::Corrupt, "{mode:?}");
        assert_eq!(*first.bytes().unwrap(), *Random::new(1).bytes(20_000), "{mode:?}: the other atom is served");
    }
}

#[cfg(unix)] // elsewhere a directory that is open cannot be removed
#[test]
fn a_store_deleted_while_open_answers_with_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &small_options(Durability::Full)).unwrap();
    commit_steps(&store, &[put("a", 5_000, 1), put("b", 5_000, 2)]).unwrap();
    let held = store.get("a").unwrap().bytes().unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(*held, *Random::new(1).bytes(5_000), "bytes held stay valid");
    // Whatever these answer, they answer.
    let _ = store.get("b").and_then(|payload| payload.bytes());
    let _ = commit_steps(&store, &[put("c", 5_000, 3)]);
    let _ = store.stat();
    drop(store);
    assert_eq!(Store::open(&path, &small_options(Durability::Full)).unwrap_err().kind(), ErrorKind::NotAStore);
}

// Verification reports exactly the damaged atom, with a place an operator can look at.
#[test]
fn verify_names_exactly_the_damaged_atom() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &small_options(Durability::Process)).unwrap();
    workload().iter().for_each(|steps| assert!(commit_steps(&store, steps).unwrap() > 0));
    let sql = "SELECT p.segment, p.offset FROM atoms a JOIN payloads p ON p.digest = a.digest WHERE a.key = 'many/7'";
    let rows = store.query(sql, 1).unwrap().rows;
    let [tensoratom::SqlValue::Integer(segment), tensoratom::SqlValue::Integer(offset)] = rows[0][..] else { panic!() };
    let file =
        fs::OpenOptions::new().read(true).write(true).open(path.join(format!("segments/{segment:08}.seg"))).unwrap();
    let mut byte = [0];
    let at = offset as u64 + 6_000;
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    let report = store.verify(&tensoratom::VerifyOptions::new(), &Control::new()).unwrap();
    let [damage] = &report.damaged[..] else { panic!("{:?}", report.damaged) };
    assert_eq!(damage.key, Some(Key::from("many/7")));
    assert_eq!(damage.segment, Some(segment as u64));
    let place = damage.offset.unwrap();
    assert!(place <= at && at < place + 4096, "{damage:?} for byte {at}");
    let scoped = store.verify(&tensoratom::VerifyOptions::new().prefix("many/"), &Control::new()).unwrap();
    assert_eq!((scoped.atoms_checked, scoped.damaged.len()), (12, 1));
    let elsewhere = store.verify(&tensoratom::VerifyOptions::new().prefix("large"), &Control::new()).unwrap();
    assert!(elsewhere.is_sound());
    // Storing the same payload again does not rely on the damaged copy: it heals the atom.
    commit_steps(&store, &[put("healer", 5_000 + 7 * 777, 107)]).unwrap();
    assert!(store.verify(&tensoratom::VerifyOptions::new(), &Control::new()).unwrap().is_sound());
    drop(store);
    let store = Store::open(&path, &small_options(Durability::Process)).unwrap();
    assert_eq!(*store.get("many/7").unwrap().bytes().unwrap(), *Random::new(107).bytes(5_000 + 7 * 777));
}

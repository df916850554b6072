//! Several real processes on one store, killed at random moments: nothing acknowledged is lost, nobody sees half a
//! commit, and the dead hold nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tensoratom::testing::oracle::{State, Step, check_integrity, run_step};
use tensoratom::testing::random::{Random, effort, seed};
use tensoratom::testing::{OsVolume, Volume};
use tensoratom::{Durability, ErrorKind, Expect, Key, ListOptions, Options, PutOptions, Store, Tensor};

const ROLE: &str = "TENSORATOM_TEST_ROLE";

fn options() -> Options {
    Options::new().segment_bytes(1 << 20).chunk_bytes(4096).threads(1)
}

/// Not a test of its own: what a child process runs. The parent starts this test binary again with a role.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let parts: Vec<&str> = role.split('|').collect();
    let path = Path::new(parts[1]);
    let number = |i: usize| -> u64 { parts[i].parse().unwrap() };
    match parts[0] {
        "write" => write_for_ever(path, number(2), number(3)),
        "read" => read_for_ever(path),
        "count" => count(path, number(2)),
        "hold" => hold(path),
        "create" => create(path),
        other => panic!("unknown role {other}"),
    }
}

struct Running(Child);

impl Running {
    fn start(role: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running(child)
    }

    /// SIGKILL, then everything the process printed.
    fn kill(mut self) -> String {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        self.output()
    }

    fn output(&mut self) -> String {
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let mut errors = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(!errors.contains("panicked"), "the child failed:\n{errors}");
        text
    }

    fn finish(mut self) -> String {
        let output = self.output();
        assert!(self.0.wait().unwrap().success(), "{output}");
        output
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What writer `who` does in its commit `n`: the same for child and parent.
fn commit_of(who: u64, n: u64) -> Vec<Step> {
    let mut random = Random::new(who << 32 | n);
    let mut key = |pair: &str| Key::from(format!("{who}/{}/{pair}", random.below(20)));
    let (a, b, gone) = (key("a"), key("b"), key("a"));
    let large = random.one_in(8);
    let mut bytes = |n: u64| {
        let len = if large { 300_000 } else { random.below(3_000) as usize };
        let mut bytes = n.to_le_bytes().to_vec();
        bytes.extend(Random::new(n ^ who << 40).bytes(len));
        bytes
    };
    let mut steps = vec![Step::Put(a, bytes(n), None), Step::Put(b, bytes(n), Some(format!("{{\"n\":{n}}}")))];
    // Two keys that always change together, for readers to compare.
    let pair = n.to_le_bytes().to_vec();
    steps.push(Step::Put(Key::from(format!("{who}/left")), pair.clone(), None));
    steps.push(Step::Put(Key::from(format!("{who}/right")), pair, None));
    if n.is_multiple_of(5) {
        steps.push(Step::Delete(gone));
    }
    steps
}

fn write_for_ever(path: &Path, who: u64, first: u64) {
    let store = Store::open(path, &options()).unwrap();
    let default = store.namespace("").unwrap();
    for n in first.. {
        let mut txn = store.begin().unwrap();
        for step in commit_of(who, n) {
            run_step(&mut txn, &default, &step).unwrap();
        }
        txn.commit().unwrap();
        println!("ack {n}");
    }
}

fn read_for_ever(path: &Path) {
    let store = Store::open(path, &options().read_only(true)).unwrap();
    println!("reading");
    loop {
        let snapshot = store.snapshot().unwrap();
        for info in snapshot.list(&ListOptions::new()).unwrap() {
            let bytes = snapshot.get(&info.key).unwrap().bytes().unwrap();
            assert_eq!(bytes.len() as u64, info.bytes);
        }
        for who in 1..3 {
            let side = |side: &str| match snapshot.get(format!("{who}/{side}").as_str()) {
                Ok(payload) => Some(payload.bytes().unwrap().to_vec()),
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                Err(e) => panic!("{e:?}"),
            };
            assert_eq!(side("left"), side("right"), "half a commit was visible");
        }
    }
}

/// The state after the first `count` commits of a writer.
fn state_after(who: u64, count: u64) -> State {
    let mut state = State::default();
    (0..count).flat_map(|n| commit_of(who, n)).for_each(|step| state.apply(&step));
    state
}

/// How many commits of a writer the store shows, which must be all acknowledged ones, or one more.
fn commits_shown(store: &Store, who: u64, acknowledged: u64) -> u64 {
    let snapshot = store.snapshot().unwrap();
    let listed = snapshot.list(&ListOptions::new().prefix(format!("{who}/"))).unwrap();
    for count in [acknowledged, acknowledged + 1] {
        let expected = state_after(who, count);
        let same = listed.len() == expected.0.len()
            && listed.iter().zip(&expected.0).all(|(info, (key, expected))| {
                info.key == *key
                    && info.metadata == expected.metadata
                    && *snapshot.get(key).unwrap().bytes().unwrap() == *expected.bytes
            });
        if same {
            return count;
        }
    }
    let expected = state_after(who, acknowledged);
    let differs = |info: &&tensoratom::AtomInfo| match expected.0.get(&info.key) {
        None => true,
        Some(expected) => *snapshot.get(&info.key).unwrap().bytes().unwrap() != *expected.bytes,
    };
    let wrong: Vec<_> = listed.iter().filter(differs).map(|info| (&info.key, info.lsn)).collect();
    let missing: Vec<_> = expected.0.keys().filter(|key| !listed.iter().any(|info| info.key == **key)).collect();
    panic!(
        "writer {who}: neither {acknowledged} nor {} commits are there: wrong {wrong:?}, missing {missing:?}",
        acknowledged + 1
    );
}

/// Rounds of two writers and a reader, each killed on its own at a random moment.
fn kill_rounds(rounds: u64, seed: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(Store::create(&path, &options()).unwrap());
    let mut random = Random::new(seed);
    let mut done = [0_u64; 2];
    for round in 0..rounds {
        let role = |who: u64| format!("write|{}|{}|{}", path.display(), who + 1, done[who as usize]);
        let mut children: Vec<Option<Running>> = vec![
            Some(Running::start(&role(0))),
            Some(Running::start(&role(1))),
            Some(Running::start(&format!("read|{}", path.display()))),
        ];
        let mut order = [0, 1, 2];
        order.rotate_left(random.below(3) as usize);
        for which in order {
            std::thread::sleep(Duration::from_micros(random.below(40_000)));
            let output = children[which].take().unwrap().kill();
            // The first line has the harness's own words in front.
            if let Some(last) = output.lines().rev().find_map(|line| line.split("ack ").nth(1)) {
                done[which] = last.parse::<u64>().unwrap() + 1;
            }
        }
        let store = Store::open(&path, &options()).unwrap_or_else(|e| panic!("round {round}: {e:?}"));
        for (who, count) in (1..).zip(&mut done) {
            *count = commits_shown(&store, who, *count);
        }
        if round % 20 == 19 || round + 1 == rounds {
            check_integrity(&store).unwrap_or_else(|what| panic!("round {round}: {what}"));
        }
    }
    println!("{} kills, {} commits survived", rounds * 3, done[0] + done[1]);
    rounds * 3
}

#[test]
fn killed_at_random_moments_nothing_acknowledged_is_lost() {
    assert!(kill_rounds(effort(100), seed(1)) >= 300);
}

fn count(path: &Path, times: u64) {
    let store = Store::open(path, &options().durability(Durability::Process)).unwrap();
    for _ in 0..times {
        loop {
            let payload = store.get("counter").unwrap();
            let value = payload.view::<u64>().unwrap()[0];
            let expect = PutOptions::new().expect(Expect::Version(payload.info().lsn));
            match store.put_with("counter", &Tensor::from_slice(&[1], &[value + 1]).unwrap(), &expect) {
                Ok(_) => break,
                Err(e) => assert_eq!(e.kind(), ErrorKind::Conflict, "{e:?}"),
            }
        }
    }
}

// A conditional put is what several processes build on: a lost update here is a lost row there.
#[test]
fn conditional_puts_of_four_processes_lose_no_update() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &options()).unwrap();
    store.put("counter", &Tensor::from_slice(&[1], &[0_u64]).unwrap()).unwrap();
    let children: Vec<_> = (0..4).map(|_| Running::start(&format!("count|{}|50", path.display()))).collect();
    children.into_iter().for_each(|child| drop(child.finish()));
    assert_eq!(store.get("counter").unwrap().view::<u64>().unwrap()[0], 200);
}

fn hold(path: &Path) {
    let store = Store::open(path, &options().read_only(true)).unwrap();
    let _bytes = store.get("a").unwrap().bytes().unwrap();
    println!("holding");
    std::thread::sleep(Duration::from_secs(600));
}

// A reader that dies must not keep its segments from being deleted for ever.
#[test]
fn a_killed_reader_frees_its_lease() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &options()).unwrap();
    store.put("a", &Tensor::from_slice(&[3], &[1_u8, 2, 3]).unwrap()).unwrap();
    drop(store);
    let lease_is_held = || {
        let volume = OsVolume::open(&path).unwrap();
        let lease = volume.open("segments/00000001.lease", tensoratom::file::Open::Read).unwrap();
        lease.probe_lock(1..2).unwrap().is_some()
    };
    assert!(!lease_is_held());
    let mut reader = Running::start(&format!("hold|{}", path.display()));
    let mut lines = BufReader::new(reader.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")));
    assert!(lease_is_held());
    reader.0.kill().unwrap();
    reader.0.wait().unwrap();
    assert!(!lease_is_held(), "the dead reader still holds the segment");
}

fn create(path: &Path) {
    let store = Store::open_or_create(path, &options()).unwrap();
    println!("uuid {}", store.uuid());
    store.put(i64::from(std::process::id()), &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
}

#[test]
fn processes_that_race_to_create_a_store_get_one() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let path: PathBuf = dir.path().join("store");
        let children: Vec<_> = (0..4).map(|_| Running::start(&format!("create|{}", path.display()))).collect();
        let uuids: Vec<String> = children
            .into_iter()
            .map(|child| child.finish().lines().find_map(|line| line.split("uuid ").nth(1).map(str::to_owned)).unwrap())
            .collect();
        assert!(uuids.windows(2).all(|pair| pair[0] == pair[1]), "{uuids:?}");
        let store = Store::open(&path, &options()).unwrap();
        assert_eq!(store.list(&ListOptions::new()).unwrap().len(), 4);
    }
}

// A process killed while it creates a store leaves something that the next can complete.
#[test]
fn creation_killed_at_random_moments_can_be_completed() {
    let mut random = Random::new(seed(7));
    for _ in 0..effort(40) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let child = Running::start(&format!("create|{}", path.display()));
        std::thread::sleep(Duration::from_micros(random.below(15_000)));
        child.kill();
        let started = Instant::now();
        let store = Store::open_or_create(&path, &options()).unwrap();
        check_integrity(&store).unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

//! Several real processes on one store, killed at random moments: nothing acknowledged is lost, nobody sees half a
//! commit, and the dead hold nothing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tensoratom::testing::oracle::{State, Step, check_integrity, check_nothing_leaks, collect, run_step};
use tensoratom::testing::random::{Random, effort, seed};
use tensoratom::testing::{OsVolume, Volume};
use tensoratom::{Control, Durability, ErrorKind, Expect, Key, ListOptions, Options, PutOptions, Store, Tensor, Tier};

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
        "collect" => collect_for_ever(path),
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
        let attempt = || -> tensoratom::Result<u64> {
            let mut txn = store.begin()?;
            commit_of(who, n).iter().try_for_each(|step| run_step(&mut txn, &default, step))?;
            txn.commit()
        };
        while let Err(e) = attempt() {
            // History was forgotten under the transaction, with a payload it relied on: all of it is run again.
            assert_eq!(e.kind(), ErrorKind::Conflict, "{e:?}");
        }
        println!("ack {n}");
    }
}

fn read_for_ever(path: &Path) {
    let store = Store::open(path, &options().read_only(true)).unwrap();
    println!("reading");
    loop {
        match read_once(&store) {
            // History is forgotten all the time: a snapshot says so rather than show a part.
            Err(e) if e.kind() != ErrorKind::Forgotten => panic!("{e:?}"),
            _ => {}
        }
    }
}

fn read_once(store: &Store) -> tensoratom::Result<()> {
    let snapshot = store.snapshot()?;
    for info in snapshot.list(&ListOptions::new())? {
        let bytes = snapshot.get(&info.key)?.bytes()?;
        assert_eq!(bytes.len() as u64, info.bytes);
    }
    for who in 1..3 {
        let side = |side: &str| match snapshot.get(format!("{who}/{side}").as_str()) {
            Ok(payload) => Ok(Some(payload.bytes()?.to_vec())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        assert_eq!(side("left")?, side("right")?, "half a commit was visible");
    }
    Ok(())
}

/// What a writer has committed, and what the store shows of it then.
#[derive(Default)]
struct Committed {
    count: u64,
    state: State,
}

impl Committed {
    fn advance(&mut self, who: u64) {
        commit_of(who, self.count).iter().for_each(|step| self.state.apply(step));
        self.count += 1;
    }

    /// Compares with the store, which must show all acknowledged commits, or one more.
    fn check(&mut self, store: &Store, who: u64, acknowledged: u64) {
        let snapshot = store.snapshot().unwrap();
        let listed = snapshot.list(&ListOptions::new().prefix(format!("{who}/"))).unwrap();
        let is_shown = |state: &State| {
            listed.len() == state.0.len()
                && listed.iter().zip(&state.0).all(|(info, (key, expected))| {
                    info.key == *key
                        && info.metadata == expected.metadata
                        && *snapshot.get(key).unwrap().bytes().unwrap() == *expected.bytes
                })
        };
        while self.count < acknowledged {
            self.advance(who);
        }
        if is_shown(&self.state) {
            return;
        }
        let differs = |info: &&tensoratom::AtomInfo| match self.state.0.get(&info.key) {
            None => true,
            Some(expected) => *snapshot.get(&info.key).unwrap().bytes().unwrap() != *expected.bytes,
        };
        let wrong: Vec<_> = listed.iter().filter(differs).map(|info| (info.key.clone(), info.lsn)).collect();
        let gone = |key: &&Key| !listed.iter().any(|info| info.key == **key);
        let missing: Vec<_> = self.state.0.keys().filter(gone).cloned().collect();
        self.advance(who);
        assert!(
            is_shown(&self.state),
            "writer {who}: neither {acknowledged} nor {} commits are there: wrong {wrong:?}, missing {missing:?}",
            self.count
        );
    }
}

/// Moves everything to and fro, forgets all history and reclaims what can be, for ever.
fn collect_for_ever(path: &Path) {
    let store = Store::open(path, &options()).unwrap();
    for n in 0_u64.. {
        let tier = if n.is_multiple_of(2) { Tier::Cold } else { Tier::Warm };
        for outcome in [
            store.move_to_tier(None, "", tier, &Control::new()).map(drop),
            collect(&store, true).map(|report| assert!(report.findings.is_empty(), "{report:?}")),
        ] {
            // What a writer replaced meanwhile is moved by the next run.
            outcome.unwrap_or_else(|e| assert_eq!(e.kind(), ErrorKind::Conflict, "{e:?}"));
        }
        println!("ack {n}");
    }
}

/// Rounds of two writers, a reader and one that moves and reclaims, each killed on its own at a random moment.
fn kill_rounds(rounds: u64, seed: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(Store::create(&path, &options()).unwrap());
    let mut random = Random::new(seed);
    let mut done: [Committed; 2] = Default::default();
    let mut runs = 0;
    for round in 0..rounds {
        let role = |who: u64| format!("write|{}|{}|{}", path.display(), who + 1, done[who as usize].count);
        let mut children: Vec<Option<Running>> = vec![
            Some(Running::start(&role(0))),
            Some(Running::start(&role(1))),
            Some(Running::start(&format!("read|{}", path.display()))),
            Some(Running::start(&format!("collect|{}", path.display()))),
        ];
        let mut order = [0, 1, 2, 3];
        order.rotate_left(random.below(4) as usize);
        let mut acknowledged = [done[0].count, done[1].count];
        for which in order {
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            let output = children[which].take().unwrap().kill();
            // The first line has the harness's own words in front.
            let last = output.lines().rev().find_map(|line| line.split("ack ").nth(1));
            let Some(count) = last.map(|last| last.parse::<u64>().unwrap() + 1) else { continue };
            match acknowledged.get_mut(which) {
                Some(acknowledged) => *acknowledged = count,
                None => runs += count,
            }
        }
        let store = Store::open(&path, &options()).unwrap_or_else(|e| panic!("round {round}: {e:?}"));
        for (who, (committed, acknowledged)) in (1..).zip(done.iter_mut().zip(acknowledged)) {
            committed.check(&store, who, acknowledged);
        }
        if round % 20 == 19 || round + 1 == rounds {
            check_integrity(&store).unwrap_or_else(|what| panic!("round {round}: {what}"));
            // Whatever the dead had begun to give up is given up by the next.
            check_nothing_leaks(&store).unwrap_or_else(|what| panic!("round {round}: {what}"));
        }
    }
    let commits = done[0].count + done[1].count;
    println!("{} kills, {commits} commits survived, {runs} whole collections", rounds * 4);
    assert!(commits > 0, "nothing was done between the kills"); // whole collections depend on the load of the machine
    rounds * 4
}

#[test]
fn killed_at_random_moments_nothing_acknowledged_is_lost() {
    assert!(kill_rounds(effort(75), seed(1)) >= 300);
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
    let store = Store::open(&path, &options()).unwrap();
    store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
    assert_eq!(collect(&store, true).unwrap().segments_held, 1);
    let stat = store.stat().unwrap();
    assert!(stat.accounted.held > 0);
    // An operator who wonders why space does not come back is told whom to ask, where the system says it.
    match &stat.holders[..] {
        [holder] => {
            assert_eq!((holder.process, holder.bytes), (reader.0.id(), stat.accounted.held));
            assert!(holder.program.as_deref().is_some_and(|program| program.starts_with("processes")), "{holder:?}");
        }
        others => assert!(others.is_empty() && cfg!(windows), "{others:?}"),
    }
    reader.0.kill().unwrap();
    reader.0.wait().unwrap();
    assert!(!lease_is_held(), "the dead reader still holds the segment");
    assert_eq!((collect(&store, true).unwrap().segments_held, store.stat().unwrap().holders.len()), (0, 0));
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

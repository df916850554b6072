//! The cold directory: on a disk of its own that may be away, be another store's, or be exchanged for another one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::{State, Step, check_integrity, check_nothing_leaks, collect, commit_steps};
use tensoratom::testing::random::Random;
use tensoratom::testing::{Device, Fault, FaultKind, FaultVolume, SimDisk, Volume, set_cold_directory_on};
use tensoratom::{
    Control, Durability, ErrorKind, Key, Options, ReadMode, RepairOptions, SqlValue, Store, Tier, VerifyOptions,
    set_cold_directory,
};

/// Bytes that a codec makes smaller.
fn text(key: &str, len: usize) -> Step {
    Step::Put(Key::from(key), (0..len).map(|i| (i / 7) as u8).collect(), None)
}

fn noise(key: &str, len: usize) -> Step {
    Step::Put(Key::from(key), Random::new(len as u64).bytes(len), None)
}

fn steps() -> Vec<Step> {
    vec![text("c/a", 300), text("c/b", 20_000), noise("c/c", 70_000), text("w", 5_000)]
}

fn state_of(steps: &[Step]) -> State {
    let mut state = State::default();
    steps.iter().for_each(|step| state.apply(step));
    state
}

fn to_cold(store: &Store, prefix: &str) -> tensoratom::Result<tensoratom::MoveReport> {
    store.move_to_tier(None, prefix, Tier::Cold, &Control::new())
}

/// A store with cold atoms in a directory outside of it.
struct Fixture {
    dir: tempfile::TempDir,
    options: Options,
    state: State,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = small_options(Durability::Process);
        let store = Store::create(dir.path().join("s"), &options.clone().cold_directory("../disk/cold")).unwrap();
        commit_steps(&store, &steps()).unwrap();
        assert_eq!(to_cold(&store, "c/").unwrap().payloads_moved, 3);
        Fixture { dir, options, state: state_of(&steps()) }
    }

    fn open(&self) -> Store {
        Store::open(self.path("s"), &self.options).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Takes the disk away, or brings it back.
    fn mount(&self, is_there: bool) {
        let (from, to) = if is_there { ("away", "disk") } else { ("disk", "away") };
        fs::rename(self.path(from), self.path(to)).unwrap();
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let len = |entry: fs::DirEntry| {
        let data = entry.metadata().unwrap();
        if data.is_dir() { bytes_in(&entry.path()) } else { data.len() }
    };
    fs::read_dir(dir).unwrap().map(|entry| len(entry.unwrap())).sum()
}

/// Reads of cold atoms fail by type and place, everything else goes on.
fn check_away(store: &Store, fixture: &Fixture) {
    let error = store.get("c/b").unwrap().bytes().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColdUnavailable, "{error:?}");
    assert_eq!((error.path(), error.key_text()), (Some(Path::new("../disk/cold")), Some("c/b")));
    assert!(error.to_string().contains("mount its disk again"), "{error}");
    assert_eq!(store.get("w").unwrap().bytes().unwrap().len(), 5_000);
    let error = to_cold(store, "w").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColdUnavailable, "{error:?}");
    assert_eq!(store.get("w").unwrap().bytes().unwrap().len(), 5_000, "the copy it was to be made from stays");
    let stat = store.stat().unwrap();
    assert!(stat.cold_directory.as_ref().unwrap().problem.is_some());
    assert_eq!((stat.accounted.total(), stat.tiers[1].payloads), (stat.disk_bytes, 3));
    let report = store.verify(&VerifyOptions::new(), &Control::new()).unwrap();
    assert!(report.is_sound() && !report.is_complete(), "{report:?}");
    assert_eq!((report.payloads_unavailable, report.damaged.len()), (3, 0));
    let report = collect(store, true).unwrap();
    assert!(report.unavailable.is_some() && report.findings.is_empty(), "{report:?}");
    assert_eq!(fixture.state.0.len(), store.list(&tensoratom::ListOptions::new()).unwrap().len());
}

// Cold payloads that stayed on the expensive disk, or bytes of the cheap one that nobody accounts for, make a cold disk
// pointless; records of commits there would make it indispensable.
#[test]
fn cold_segments_lie_in_the_cold_directory_and_are_read_verified_counted_and_reclaimed() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let fixture = Fixture::new();
        let store = Store::open(fixture.path("s"), &fixture.options.clone().read_mode(mode)).unwrap();
        fixture.state.compare(&store).unwrap();
        let cold = fs::read_dir(fixture.path("disk/cold")).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(cold.filter(|name| name.to_str().unwrap().ends_with(".seg")).count(), 1);
        let sites = "SELECT (SELECT count(*) FROM segments WHERE tier = 'cold'), count(*) FROM payloads p \
             JOIN segments s ON s.id = p.segment WHERE p.tier <> s.tier";
        assert_eq!(store.query(sites, 1).unwrap().rows[0], [SqlValue::Integer(1), SqlValue::Integer(0)]);
        let logs = "SELECT count(*) FROM commits c JOIN segments s ON s.id = c.segment WHERE s.tier = 'cold'";
        assert_eq!(store.query(logs, 1).unwrap().rows[0], [SqlValue::Integer(0)]);
        let stat = store.stat().unwrap();
        assert_eq!(stat.disk_bytes, bytes_in(&fixture.path("s")) + bytes_in(&fixture.path("disk/cold")));
        assert_eq!(stat.cold_directory.unwrap().disk_bytes, bytes_in(&fixture.path("disk/cold")));
        check_integrity(&store).unwrap();
        assert_eq!(store.move_to_tier(None, "", Tier::Warm, &Control::new()).unwrap().payloads_moved, 3);
        check_nothing_leaks(&store).unwrap();
        assert_eq!(fs::read_dir(fixture.path("disk/cold")).unwrap().count(), 1, "only the mark is left");
        fixture.state.compare(&store).unwrap();
        check_integrity(&store).unwrap();
    }
}

// A nightly job at a moment when the disk is not mounted must not take cold payloads for lost, whatever stands where the
// disk was: nothing, an empty directory, or another disk.
#[test]
fn while_the_cold_disk_is_away_all_else_is_served_and_it_heals_without_opening_anew() {
    let fixture = Fixture::new();
    let stranger = fixture.path("stranger");
    drop(Store::create(&stranger, &fixture.options.clone().cold_directory("../other")).unwrap());
    let store = fixture.open();
    fixture.mount(false);
    check_away(&store, &fixture);
    fs::create_dir_all(fixture.path("disk/cold")).unwrap();
    check_away(&store, &fixture);
    fs::copy(fixture.path("other/tensoratom-cold.json"), fixture.path("disk/cold/tensoratom-cold.json")).unwrap();
    check_away(&store, &fixture);
    fs::remove_dir_all(fixture.path("disk")).unwrap();
    drop(store);
    let store = fixture.open();
    check_away(&store, &fixture);
    // The same bytes are stored again rather than relied on where nobody can look; new ones as ever.
    let mut state = fixture.state.clone();
    let more = [text("again", 20_000), text("new", 9_000)];
    more.iter().for_each(|step| state.apply(step));
    commit_steps(&store, &more).unwrap();
    assert_eq!(store.get("again").unwrap().bytes().unwrap().len(), 20_000);
    assert_eq!(store.get("c/a").unwrap().bytes().unwrap_err().kind(), ErrorKind::ColdUnavailable);
    fixture.mount(true);
    state.compare(&store).unwrap();
    to_cold(&store, "").unwrap();
    state.compare(&store).unwrap();
    check_nothing_leaks(&store).unwrap();
    check_integrity(&store).unwrap();
}

// A rebuild that takes the segments of an absent disk for deleted ones makes their payloads unreadable for ever.
#[test]
fn a_catalog_is_not_rebuilt_without_the_cold_directory_unless_told_and_then_drops_nothing() {
    let fixture = Fixture::new();
    let rebuild = |options: &RepairOptions| tensoratom::repair(fixture.path("s"), options, &Control::new());
    fixture.mount(false);
    let report = rebuild(&RepairOptions::new()).unwrap();
    assert_eq!((report.findings.len(), report.atoms), (1, 4), "{report:?}");
    let error = rebuild(&RepairOptions::new().rebuild_catalog(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColdUnavailable);
    rebuild(&RepairOptions::new().rebuild_catalog(true).without_cold(true)).unwrap();
    check_away(&fixture.open(), &fixture);
    fixture.mount(true);
    drop(fixture.open());
    rebuild(&RepairOptions::new().rebuild_catalog(true)).unwrap();
    let store = fixture.open();
    fixture.state.compare(&store).unwrap();
    check_integrity(&store).unwrap();
}

// Two stores in one directory would collect each other's segments as garbage.
#[test]
fn a_directory_of_another_store_or_with_other_files_is_refused() {
    let fixture = Fixture::new();
    let create = |cold: &str| Store::create(fixture.path("t"), &fixture.options.clone().cold_directory(cold));
    assert_eq!(create("../disk/cold").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(create("..").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(create("segments").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(create(".").unwrap_err().kind(), ErrorKind::InvalidArgument);
    let inside = create("cold").unwrap();
    commit_steps(&inside, &steps()).unwrap();
    to_cold(&inside, "").unwrap();
    assert_eq!(inside.stat().unwrap().disk_bytes, bytes_in(&fixture.path("t")), "a directory inside is one as well");
    check_integrity(&inside).unwrap();
    let reopen = |cold: &Path| Store::open(fixture.path("s"), &fixture.options.clone().cold_directory(cold));
    assert!(reopen(&fixture.path("disk/cold")).is_ok(), "the same directory by another path");
    assert_eq!(reopen(&fixture.path("elsewhere")).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

// A move of the directory that loses its place half-way has lost an archive.
#[test]
fn the_cold_directory_can_be_changed_and_the_change_interrupted_anywhere() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let state = state_of(&steps());
    let store = Store::open_on(disk.process(), &options, true).unwrap();
    commit_steps(&store, &steps()).unwrap();
    to_cold(&store, "c/a").unwrap();
    let busy = set_cold_directory_on(disk.process(), "/cold", &Control::new()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    drop(store);
    set_cold_directory_on(disk.process(), "/cold", &Control::new()).unwrap();
    let moved = to_cold(&Store::open_on(disk.process(), &options, false).unwrap(), "c/").unwrap();
    assert_eq!((moved.payloads_moved, moved.payloads_there), (3, 0), "what was cold before goes there as well");
    let image = disk.image();
    let mut interrupted = 0;
    for (kind, at) in (1..).flat_map(|at| [(FaultKind::Error(libc::EIO), at), (FaultKind::Kill, at)]) {
        let disk = SimDisk::from_image(&image);
        let process = disk.process();
        let (volume, plan) = FaultVolume::new(Arc::clone(&process) as Arc<dyn Volume>);
        plan.kill_with(process);
        plan.arm(Fault { at, sticky: false, kind }, |_| true);
        let _ = set_cold_directory_on(volume, "/new", &Control::new());
        let Some(call) = plan.hit() else { break };
        plan.disarm();
        interrupted += 1;
        // Who is killed loses power as well, and with it whatever was not synced.
        let disk = if kind == FaultKind::Kill { SimDisk::from_image(&disk.power_cut(|_| 0)) } else { disk };
        let context = format!("{kind:?} at call {at} ({call})");
        {
            let store = Store::open_on(disk.process(), &options, false).unwrap_or_else(|e| panic!("{context}: {e:?}"));
            state.compare(&store).unwrap_or_else(|what| panic!("{context}: {what}"));
        }
        let again = set_cold_directory_on(disk.process(), "/new", &Control::new());
        again.unwrap_or_else(|e| panic!("{context}, again: {e:?}"));
        assert!(
            !disk.image().files.keys().any(|name| name.starts_with("/cold/")),
            "{context}: the old files are there"
        );
        let store = Store::open_on(disk.process(), &options, false).unwrap();
        state.compare(&store).unwrap_or_else(|what| panic!("{context}, again: {what}"));
        check_integrity(&store).unwrap_or_else(|what| panic!("{context}, again: {what}"));
    }
    assert!(interrupted > 50);
}

// An operator mounts the disk elsewhere, or loses the one small file that says where it is.
#[test]
fn a_directory_found_elsewhere_is_taken_as_it_is() {
    let fixture = Fixture::new();
    let set = |directory: &str| set_cold_directory(fixture.path("s"), fixture.path(directory), &Control::new());
    fixture.mount(false);
    assert_eq!(set("empty").unwrap_err().kind(), ErrorKind::ColdUnavailable, "what is away cannot be copied");
    assert_eq!(set("away/cold").unwrap().segments_copied, 0);
    fixture.state.compare(&fixture.open()).unwrap();
    fs::remove_file(fixture.path("s/cold.json")).unwrap();
    let error = fixture.open().get("c/a").unwrap().bytes().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColdUnavailable);
    assert_eq!(set("empty").unwrap_err().kind(), ErrorKind::InvalidArgument, "its segments are elsewhere");
    set("away/cold").unwrap();
    fixture.state.compare(&fixture.open()).unwrap();
    assert_eq!(set("empty").unwrap().segments_copied, 1);
    assert_eq!(fs::read_dir(fixture.path("away/cold")).unwrap().count(), 0);
    let store = fixture.open();
    fixture.state.compare(&store).unwrap();
    check_integrity(&store).unwrap();
}

// A disk that is pulled out leaves open files behind that fail for ever: whoever kept them would never heal.
#[test]
fn a_disk_pulled_out_under_open_files_heals_when_it_is_back() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full);
    let store = Store::open_on(disk.process(), &options.clone().cold_directory("/cold"), true).unwrap();
    let state = state_of(&steps());
    commit_steps(&store, &steps()).unwrap();
    to_cold(&store, "c/").unwrap();
    let held = store.get("c/c").unwrap();
    held.range(5..9).unwrap();
    disk.set_cold_missing(true);
    let error = held.range(50_000..50_009).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::ColdUnavailable, Some(Path::new("/cold"))), "{error:?}");
    commit_steps(&store, &[text("n", 800)]).unwrap();
    assert_eq!(to_cold(&store, "n").unwrap_err().kind(), ErrorKind::ColdUnavailable);
    disk.set_cold_missing(false);
    store.delete("n").unwrap();
    assert_eq!(held.range(50_000..50_009).unwrap().len(), 9, "a handle made before heals as well");
    state.compare(&store).unwrap();
    // A full one is another matter: the move fails as on any full disk, and the rest goes on.
    disk.set_capacity_of(Device::Cold, disk.used_bytes_of(Device::Cold));
    commit_steps(&store, &[noise("large", 400_000)]).unwrap();
    assert_eq!(to_cold(&store, "large").unwrap_err().kind(), ErrorKind::DiskFull);
    assert_eq!(store.get("large").unwrap().bytes().unwrap().len(), 400_000);
    disk.set_capacity_of(Device::Cold, u64::MAX);
    assert_eq!(to_cold(&store, "large").unwrap().payloads_moved, 1);
    check_nothing_leaks(&store).unwrap();
    check_integrity(&store).unwrap();
}

// A cold disk may take seconds to answer. Whoever held a lock of all processes meanwhile would make the fast one as slow.
#[test]
fn nobody_waits_for_a_slow_cold_disk_but_who_moves() {
    let disk = SimDisk::new();
    let options = small_options(Durability::Full).lock_timeout(Duration::from_millis(300));
    let store = Store::open_on(disk.process(), &options.clone().cold_directory("/cold"), true).unwrap();
    commit_steps(&store, &steps()).unwrap();
    let (other, commits) = (Store::open_on(disk.process(), &options, false).unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&commits);
    disk.set_cold_slow(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        commit_steps(&other, &[text("meanwhile", 10 + number)]).unwrap();
        assert_eq!(other.get("c/b").unwrap().bytes().unwrap().len(), 20_000);
    });
    to_cold(&store, "c/").unwrap();
    assert!(commits.load(Ordering::SeqCst) >= 3);
    disk.set_cold_slow(|| {});
    assert_eq!(store.get("meanwhile").unwrap().bytes().unwrap().len(), 9 + commits.load(Ordering::SeqCst));
    check_integrity(&store).unwrap();
}

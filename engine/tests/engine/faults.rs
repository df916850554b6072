//! Every call to the disk fails in turn: once or from then on, with each error, after half a write. Nothing
//! acknowledged is lost, nothing unacknowledged is there in part, and the store works again when the disk does.

use std::sync::Arc;

use tensoratom::testing::crash::{COLD, small_options};
use tensoratom::testing::oracle::{State, Step, VECTOR_DIM, check_integrity, check_nothing_leaks, commit_steps};
use tensoratom::testing::random::{Random, effort, seed};
use tensoratom::testing::{EDQUOT, Fault, FaultKind, FaultVolume, SimDisk, Volume};
use tensoratom::{Durability, ErrorKind, Key, Store, Tier};

fn put(key: &str, len: usize) -> Step {
    Step::Put(Key::from(key), Random::new(len as u64).bytes(len), None)
}

fn vectors(set: &str, ids: std::ops::Range<i64>) -> Step {
    let vector = |id: i64| (id, Random::new(id as u64).bytes(VECTOR_DIM));
    Step::Upsert(set.into(), ids.map(vector).collect())
}

/// What the store holds before the faults begin.
fn base() -> Vec<Step> {
    vec![put("old small", 100), put("old large", 70_000), put("victim", 3_000), vectors("set", 0..50)]
}

/// The transactions that run into the faults.
fn workload() -> Vec<Vec<Step>> {
    vec![
        vec![put("small", 50), put("second", 9_000)],
        vec![put("large", 150_000)],
        vec![Step::Stream("stream".into(), Random::new(9).bytes(60_000))],
        vec![Step::Move("old".into(), Tier::Cold)],
        vec![Step::Maintain(r#"{"rules": [{"prefix": "set", "tier": "cold"}], "min_bytes": 0}"#.into())],
        vec![Step::Delete("victim".into()), Step::Gc(false)],
        vec![Step::Move(String::new(), Tier::Warm)],
        vec![vectors("set", 40..60), Step::DeleteVectors("set".into(), vec![1, 2])],
        vec![Step::Compact("set".into()), Step::Gc(true)],
        vec![Step::Rename("small".into(), "renamed".into()), Step::SetMetadata("old small".into(), Some("{}".into()))],
    ]
}

/// Calls that change something, or wait for the device.
fn writing_calls(call: &'static str) -> bool {
    !matches!(call, "read_at" | "len" | "exists" | "list" | "probe_lock" | "map" | "random")
}

fn every_call(_: &'static str) -> bool {
    true
}

struct Outcome {
    calls: u64,
    failed_commits: u64,
}

/// How the process that met the fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It closes the store in order.
    Closes,
    /// It is killed: whoever opens next replays the catalog's log.
    Dies,
}

/// Where the cold tier lies, and which calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disks {
    /// Beside the rest.
    One,
    /// On a disk of its own; those of both disks.
    Two,
    /// On a disk of its own, which alone fails: all but moves goes on.
    ColdAlone,
}

/// The calls that fail in a sweep: each of them for the error that anything may mean; for the others, whose paths differ in
/// few places, every third, and each when the environment asks for more effort.
fn calls_of(kind: FaultKind) -> std::iter::StepBy<std::ops::RangeFrom<u64>> {
    let stride = if matches!(kind, FaultKind::Error(libc::EIO)) || effort(1) > 1 { 1 } else { 3 };
    (1 + seed(0) % stride as u64..).step_by(stride)
}

fn sweep(
    kind: FaultKind,
    sticky: bool,
    filter: fn(&'static str) -> bool,
    (durability, end): (Durability, End),
    disks: Disks,
) -> Outcome {
    let mut outcome = Outcome { calls: 0, failed_commits: 0 };
    let options = small_options(durability);
    let mut before = State::default();
    base().iter().for_each(|step| before.apply(step));
    // Made once, and looked at by every round anew.
    let image = {
        let disk = SimDisk::new();
        let options = if disks == Disks::One { options.clone() } else { options.clone().cold_directory(COLD) };
        commit_steps(&Store::open_on(disk.process(), &options, true).unwrap(), &base()).unwrap();
        disk.image()
    };
    for at in calls_of(kind) {
        let disk = SimDisk::from_image(&image);
        let mut states = vec![before.clone()];
        let process = disk.process();
        let inner = Arc::clone(&process) as Arc<dyn Volume>;
        let (volume, plan) = if disks == Disks::ColdAlone {
            let (volume, _, cold) = FaultVolume::of_two_disks(inner);
            (volume, cold)
        } else {
            FaultVolume::new(inner)
        };
        let context = format!("{kind:?} at call {at}, sticky: {sticky}, {durability:?}, {disks:?}, then {end:?}");
        plan.arm(Fault { at, sticky, kind }, filter);
        // Possible contents: each commit that failed may have happened or not, wholly.
        let opened = Store::open_on(Arc::clone(&volume) as Arc<dyn Volume>, &options, false);
        assert!(disks != Disks::ColdAlone || opened.is_ok(), "{context}: {opened:?}");
        if let Ok(store) = &opened {
            for steps in workload() {
                let mut result = commit_steps(store, &steps);
                if let (Disks::ColdAlone, Err(e)) = (disks, &result) {
                    let moves = |step: &Step| matches!(step, Step::Move(..) | Step::Gc(_) | Step::Maintain(_));
                    let reads = |step: &Step| matches!(step, Step::Upsert(..) | Step::Compact(_));
                    assert!(steps.iter().any(|step| moves(step) || reads(step)), "{context}: {e:?}");
                    assert_ne!(e.kind(), ErrorKind::Poisoned, "{context}");
                    // What comes before the moves is committed.
                    if !steps.iter().any(reads) {
                        outcome.failed_commits += 1;
                        result = Ok(0);
                    }
                }
                let after = |state: &State| {
                    let mut state = state.clone();
                    steps.iter().for_each(|step| state.apply(step));
                    state
                };
                match result {
                    Ok(_) => states = states.iter().map(after).collect(),
                    Err(e) => {
                        assert!(!matches!(e.kind(), ErrorKind::Internal), "{context}: {e:?}");
                        outcome.failed_commits += 1;
                        states = states.iter().flat_map(|state| [state.clone(), after(state)]).collect();
                        states.dedup();
                    }
                }
            }
        }
        let Some(call) = plan.hit() else { break };
        outcome.calls += 1;
        plan.disarm();
        let any_matches = |store: &Store| -> Result<(), String> {
            let differences: Vec<_> = states.iter().filter_map(|state| state.compare(store).err()).collect();
            if differences.len() == states.len() { Err(format!("{differences:?}")) } else { Ok(()) }
        };
        if let Ok(store) = opened {
            any_matches(&store).unwrap_or_else(|what| panic!("{context} ({call}), same handle: {what}"));
            if end == End::Dies {
                process.kill();
            }
            drop(store);
        }
        let store = Store::open_on(disk.process(), &options, false)
            .unwrap_or_else(|e| panic!("{context} ({call}), opening again: {e:?}"));
        any_matches(&store).unwrap_or_else(|what| panic!("{context} ({call}), opened again: {what}"));
        check_integrity(&store).unwrap_or_else(|what| panic!("{context} ({call}): {what}"));
        // After the sync of a commit of lesser durability failed, nothing durable can be done before the next boot.
        if durability == Durability::Full && outcome.calls.is_multiple_of(6) {
            let reclaimed = check_nothing_leaks(&store).and_then(|()| any_matches(&store));
            let reclaimed = reclaimed.and_then(|()| check_integrity(&store));
            reclaimed.unwrap_or_else(|what| panic!("{context} ({call}), reclaimed: {what}"));
        }
        commit_steps(&store, &[put("afterwards", 10)])
            .unwrap_or_else(|e| panic!("{context} ({call}), writing again: {e:?}"));
    }
    outcome
}

#[test]
fn each_call_that_changes_something_fails_in_every_way() {
    for kind in [
        FaultKind::Error(libc::EIO),
        FaultKind::Error(libc::ENOSPC),
        FaultKind::Error(EDQUOT),
        FaultKind::ShortWrite(libc::ENOSPC),
        FaultKind::ShortWrite(libc::EIO),
    ] {
        for sticky in [false, true] {
            if sticky && kind == FaultKind::Error(EDQUOT) {
                continue; // a quota that stays used up is a full disk by another name
            }
            let disks = if sticky { Disks::Two } else { Disks::One };
            let outcome = sweep(kind, sticky, writing_calls, (Durability::Full, End::Closes), disks);
            println!("{kind:?} sticky {sticky}: {} calls, {} failed commits", outcome.calls, outcome.failed_commits);
            assert!(outcome.calls > 50, "the sweep ended early");
        }
    }
}

#[test]
fn each_call_at_all_fails_with_an_io_error() {
    for sticky in [false, true] {
        let (how, disks) = ((Durability::Full, End::Closes), if sticky { Disks::One } else { Disks::Two });
        let outcome = sweep(FaultKind::Error(libc::EIO), sticky, every_call, how, disks);
        println!("all calls, sticky {sticky}: {} calls, {} failed commits", outcome.calls, outcome.failed_commits);
    }
}

#[test]
fn without_syncs_the_same_holds() {
    let how = (Durability::Process, End::Closes);
    sweep(FaultKind::Error(libc::EIO), false, writing_calls, how, Disks::One);
    sweep(FaultKind::ShortWrite(libc::ENOSPC), true, writing_calls, how, Disks::Two);
}

// A commit whose last call failed may stand whole in the catalog's log, and be found there after a kill. Its payloads must
// then be there as well, although the commit was reported as failed.
#[test]
fn a_failed_commit_and_a_kill_leave_all_of_it_or_nothing() {
    let syncs = |call: &'static str| call.starts_with("sync");
    for sticky in [false, true] {
        let how = (Durability::Full, End::Dies);
        let outcome = sweep(FaultKind::Error(libc::EIO), sticky, syncs, how, Disks::Two);
        assert!(outcome.failed_commits > 5, "the sweep ended early");
    }
    sweep(FaultKind::Error(libc::EIO), false, writing_calls, (Durability::Full, End::Dies), Disks::One);
}

// A cold disk is the cheap one. That it fails, or is full, must stop nothing but what needs it.
#[test]
fn a_cold_disk_that_fails_alone_stops_nothing_but_moves() {
    for (kind, sticky) in [
        (FaultKind::Error(libc::EIO), false),
        (FaultKind::Error(libc::EIO), true),
        (FaultKind::Error(libc::ENOSPC), true),
        (FaultKind::ShortWrite(libc::EIO), false),
    ] {
        let end = if sticky { End::Dies } else { End::Closes };
        let outcome = sweep(kind, sticky, every_call, (Durability::Full, end), Disks::ColdAlone);
        println!("cold, {kind:?} sticky {sticky}: {} calls, {} failed moves", outcome.calls, outcome.failed_commits);
        assert!(outcome.failed_commits > 20, "the sweep ended early");
    }
}

// After a failed commit of the catalog nobody knows what its log holds until it is replayed. Commits on top of that
// would be acknowledged on a guess.
#[test]
fn a_handle_whose_catalog_commit_failed_is_poisoned_until_reopened() {
    let mut poisoned = 0;
    for at in 1.. {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full);
        drop(Store::open_on(disk.process(), &options, true).unwrap());
        let (volume, plan) = FaultVolume::new(disk.process());
        let store = Store::open_on(volume, &options, false).unwrap();
        commit_steps(&store, &[put("before", 100)]).unwrap();
        plan.arm(Fault { at, sticky: false, kind: FaultKind::Error(libc::EIO) }, |call| call.starts_with("sync"));
        let failed = commit_steps(&store, &[put("failing", 100)]);
        if plan.hit().is_none() {
            break;
        }
        plan.disarm();
        let Err(error) = failed else { continue };
        // The first sync is that of the segment, which is abandoned; the second that of the catalog's log.
        match commit_steps(&store, &[put("next", 100)]) {
            Ok(_) => assert!(error.segment_id().is_some(), "sync {at}: went on after {error:?}"),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Poisoned, "sync {at}: {e:?}");
                poisoned += 1;
            }
        }
        assert!(store.get("before").is_ok(), "reading goes on");
        drop(store);
        let store = Store::open_on(disk.process(), &options, false).unwrap();
        commit_steps(&store, &[put("next", 100)]).unwrap();
    }
    assert!(poisoned > 0);
}

// The kernel reports a failed write-back once and then calls the lost pages clean. Whoever syncs again and believes the
// answer loses acknowledged commits at the next power cut; so does whoever goes on appending to the same file.
#[test]
fn a_sync_that_fails_once_and_then_lies_loses_nothing_acknowledged() {
    let mut failures = 0;
    for at in 1.. {
        let disk = SimDisk::new();
        let options = small_options(Durability::Full);
        let mut states = vec![State::default()];
        {
            let two_disks = options.clone().cold_directory(COLD);
            let store = Store::open_on(disk.process(), &two_disks, true).unwrap();
            commit_steps(&store, &base()).unwrap();
            base().iter().for_each(|step| states[0].apply(step));
        }
        disk.fail_sync(at);
        let mut store = Store::open_on(disk.process(), &options, false).ok();
        for steps in workload() {
            let after = |state: &State| {
                let mut state = state.clone();
                steps.iter().for_each(|step| state.apply(step));
                state
            };
            // A poisoned handle is opened again, by another process, as an operator would.
            let result = store.as_ref().map(|store| commit_steps(store, &steps));
            match result {
                Some(Ok(_)) => states = states.iter().map(after).collect(),
                _ => {
                    states = states.iter().flat_map(|state| [state.clone(), after(state)]).collect();
                    drop(store.take());
                    store = Store::open_on(disk.process(), &options, false).ok();
                }
            }
        }
        drop(store);
        if disk.is_sync_failure_pending() {
            break;
        }
        failures += 1;
        let after_power_cut = SimDisk::from_image(&disk.power_cut(|_| 0));
        let store = Store::open_on(after_power_cut.process(), &options, false)
            .unwrap_or_else(|e| panic!("sync {at} failed, power cut: {e:?}"));
        let differences: Vec<_> = states.iter().filter_map(|state| state.compare(&store).err()).collect();
        assert!(differences.len() < states.len(), "sync {at} failed, power cut: {differences:?}");
        check_integrity(&store).unwrap_or_else(|what| panic!("sync {at} failed, power cut: {what}"));
    }
    println!("{failures} syncs failed in turn");
    assert!(failures > 15);
}

//! A writer dies at every step of its commit while another process lives on, takes its segment over, and dies as well.

use std::sync::Arc;

use tensoratom::testing::crash::small_options;
use tensoratom::testing::oracle::{State, Step, check_integrity, commit_steps};
use tensoratom::testing::random::Random;
use tensoratom::testing::{Fault, FaultKind, FaultVolume, SimDisk, Volume};
use tensoratom::{DType, Durability, Key, PutOptions, Store};

fn put(key: &str, len: usize) -> Step {
    Step::Put(Key::from(key), Random::new(len as u64).bytes(len), None)
}

// Story: a writer was killed after SQLite's log had its commit and before the shared index showed it. A second process
// took the dead one's segment over and cut its tail, as nothing there was committed as far as anyone could see; then it
// died, too. The next open replayed SQLite's log and found the commit, whose payload was gone. Found by the kill loop of
// `processes.rs`. Now whoever is about to cut a tail commits something first, which buries what nobody has seen.
#[test]
fn a_commit_nobody_saw_keeps_its_payload_or_never_appears() {
    let mut killed = 0;
    for survivor_commits in [false, true] {
        for at in 1.. {
            let disk = SimDisk::new();
            let options = small_options(Durability::Full);
            let before = vec![put("old", 500)];
            let in_flight = vec![put("small", 100), put("large", 20_000)];
            let mut states = vec![State::default()];
            before.iter().for_each(|step| states[0].apply(step));
            drop(Store::open_on(disk.process(), &options, true).unwrap());
            let survivor_process = disk.process();
            let survivor = Store::open_on(Arc::clone(&survivor_process) as Arc<dyn Volume>, &options, false).unwrap();

            let victim_process = disk.process();
            let (volume, plan) = FaultVolume::new(Arc::clone(&victim_process) as Arc<dyn Volume>);
            let victim = Store::open_on(volume, &options, false).unwrap();
            commit_steps(&victim, &before).unwrap();
            plan.kill_with(victim_process);
            plan.arm(Fault { at, sticky: false, kind: FaultKind::Kill }, |_| true);
            let acknowledged = commit_steps(&victim, &in_flight).is_ok();
            let call = plan.hit();
            drop(victim);
            let mut after = states[0].clone();
            in_flight.iter().for_each(|step| after.apply(step));
            if acknowledged {
                states.clear();
            }
            states.push(after);
            if call.is_none() {
                break;
            }
            killed += 1;

            // The survivor takes over what the victim left, and dies before or after it commits.
            let mut txn = survivor.begin().unwrap();
            let bytes = Random::new(3).bytes(30_000);
            // A stream takes a segment at once, not only when it commits.
            let mut writer = txn.writer("survivor", DType::U8, &[None], &PutOptions::new()).unwrap();
            writer.append(&bytes).unwrap();
            writer.finish().unwrap();
            if survivor_commits {
                txn.commit().unwrap();
                let step = Step::Put("survivor".into(), bytes, None);
                states.iter_mut().for_each(|state| state.apply(&step));
                survivor_process.kill();
            } else {
                survivor_process.kill();
                drop(txn);
            }
            drop(survivor);

            let context = format!("victim killed at call {at} ({call:?}), survivor commits: {survivor_commits}");
            let store = Store::open_on(disk.process(), &options, false).unwrap_or_else(|e| panic!("{context}: {e:?}"));
            let differences: Vec<_> = states.iter().filter_map(|state| state.compare(&store).err()).collect();
            assert!(differences.len() < states.len(), "{context}: {differences:?}");
            check_integrity(&store).unwrap_or_else(|what| panic!("{context}: {what}"));
        }
    }
    println!("{killed} kills");
    assert!(killed > 100);
}

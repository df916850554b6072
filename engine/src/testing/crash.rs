//! Crash exploration: runs a workload once on the simulated machine, then cuts the power at every point where it
//! matters, in every way the fault model allows (or a sample of them), and looks at what the store makes of it.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::oracle::{State, Step, check_integrity, check_nothing_leaks, commit_steps};
use super::random::Random;
use crate::file::sim::SimDisk;
use crate::file::sim::persistence::{Image, Op, Persistence};
use crate::{Durability, ErrorKind, Options, Store};

/// A list of transactions, each a list of steps.
pub type Workload = Vec<Vec<Step>>;

/// How thoroughly to explore.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Choice points that are varied one at a time, per moment of the power cut.
    pub single_changes: usize,
    /// Random states per moment of the power cut.
    pub random_states: usize,
    /// One in so many states is cut again while it recovers; 0 for none.
    pub nested_one_in: u64,
    /// Seed of everything random.
    pub seed: u64,
}

/// What an exploration saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Explored {
    /// Moments at which the power was cut.
    pub moments: u64,
    /// Distinct disk contents that were opened.
    pub states: u64,
    /// Of these, states of a power cut during recovery.
    pub nested: u64,
}

/// Small segments, so that sealing and new segments happen within a few commits.
pub fn small_options(durability: Durability) -> Options {
    Options::new().segment_bytes(192 << 10).chunk_bytes(4096).durability(durability).threads(1)
}

/// Runs the workload and explores its crash states. `Err` is a sentence about the first broken promise.
pub fn explore(workload: &Workload, durability: Durability, effort: Effort) -> Result<Explored, String> {
    let disk = SimDisk::new();
    disk.record();
    let options = small_options(durability);
    let mut states = vec![State::default()];
    {
        let store = Store::open_on(disk.process(), &options, true).map_err(|e| format!("creating: {e:?}"))?;
        disk.mark(0);
        for (i, steps) in workload.iter().enumerate() {
            commit_steps(&store, steps).map_err(|e| format!("commit {i}: {e:?}"))?;
            disk.mark(i as u64 + 1);
            let mut state = states[i].clone();
            steps.iter().for_each(|step| state.apply(step));
            states.push(state);
        }
    }
    explore_trace(&disk.trace(), &states, durability, effort)
}

/// Explores the crash states of a recorded trace whose marks count acknowledged commits.
fn explore_trace(trace: &[Op], states: &[State], durability: Durability, effort: Effort) -> Result<Explored, String> {
    let mut disk = Persistence::default();
    let mut acknowledged: Option<usize> = None;
    let mut random = Random::new(effort.seed);
    let mut seen = HashSet::new();
    let mut explored = Explored::default();
    for (at, op) in trace.iter().enumerate() {
        // What can be lost grows until the next sync: the moment just before it includes all moments since the last.
        if matches!(op, Op::Sync { .. } | Op::SyncDir { .. }) {
            explored.moments += 1;
            for image in crash_images(&disk, effort, &mut random) {
                let mut hasher = DefaultHasher::new();
                (&image, acknowledged).hash(&mut hasher);
                let hash = hasher.finish();
                if !seen.insert(hash) {
                    continue;
                }
                explored.states += 1;
                let nested = effort.nested_one_in > 0 && random.one_in(effort.nested_one_in);
                // Reclaiming costs as much as all the rest: in some states, always the same ones.
                let reclaims = hash.is_multiple_of(4);
                check_state(&image, states, acknowledged, durability, reclaims)
                    .and_then(|()| {
                        if nested {
                            explored.nested += check_nested(&image, states, acknowledged, durability, &mut random)?;
                        }
                        Ok(())
                    })
                    .map_err(|what| {
                        format!(
                            "power cut before operation {at} ({op:?}), {acknowledged:?} acknowledged, seed {}: {what}",
                            effort.seed
                        )
                    })?;
            }
        }
        if let Op::Mark(count) = op {
            acknowledged = Some(*count as usize);
        }
        disk.apply(op);
    }
    // The orderly end, and the end with everything unsynced lost.
    for choice in [0, usize::MAX] {
        let image = disk.crash_image(|n| choice.min(n - 1));
        check_state(&image, states, acknowledged, durability, true).map_err(|what| format!("at the end: {what}"))?;
    }
    Ok(explored)
}

/// Disk contents a power cut may leave now.
fn crash_images(disk: &Persistence, effort: Effort, random: &mut Random) -> Vec<Image> {
    let mut points = Vec::new();
    disk.crash_image(|versions| {
        points.push(versions);
        versions - 1
    });
    let mut images = vec![disk.crash_image(|_| 0), disk.crash_image(|n| n - 1)];
    let chosen: Vec<usize> = if points.len() <= effort.single_changes {
        (0..points.len()).collect()
    } else {
        (0..effort.single_changes).map(|_| random.below(points.len() as u64) as usize).collect()
    };
    for varied in chosen {
        for newest_else in [true, false] {
            let mut index = 0;
            images.push(disk.crash_image(|n| {
                let this = index == varied;
                index += 1;
                if this == newest_else { 0 } else { n - 1 }
            }));
        }
    }
    for _ in 0..effort.random_states {
        let bias = random.below(8);
        images.push(disk.crash_image(|n| if random.below(8) < bias { n - 1 } else { random.below(n as u64) as usize }));
    }
    images
}

/// Opens what a power cut left and compares it with what may be there.
fn check_state(
    image: &Image,
    states: &[State],
    acknowledged: Option<usize>,
    durability: Durability,
    reclaims: bool,
) -> Result<(), String> {
    let disk = SimDisk::from_image(image);
    let options = small_options(durability);
    let store = match Store::open_on(disk.process(), &options, false) {
        Ok(store) => store,
        Err(e) if acknowledged.is_none() && e.kind() == ErrorKind::NotAStore => {
            // Creation was not acknowledged: it may be missing, and must then be possible.
            return Store::open_on(disk.process(), &options, true)
                .map(drop)
                .map_err(|e| format!("creating after a crash: {e:?}"));
        }
        Err(e) => return Err(format!("opening: {e:?}")),
    };
    let done = acknowledged.unwrap_or(0);
    let oldest = if durability == Durability::Full { done } else { 0 };
    let newest = (done + 1).min(states.len() - 1);
    let differences: Vec<String> =
        states[oldest..=newest].iter().filter_map(|state| state.compare(&store).err()).collect();
    if differences.len() == newest - oldest + 1 {
        return Err(format!("none of states {oldest}..={newest}: {differences:?}"));
    }
    check_integrity(&store)?;
    // The store must go on working, in the same life and the next.
    store
        .put("after the crash", &crate::Tensor::from_slice(&[1], &[7_u8]).unwrap())
        .map_err(|e| format!("writing after a crash: {e:?}"))?;
    if reclaims {
        check_nothing_leaks(&store)?;
        check_integrity(&store).map_err(|what| format!("after reclaiming: {what}"))?;
    }
    drop(store);
    let store = Store::open_on(disk.process(), &options, false).map_err(|e| format!("opening again: {e:?}"))?;
    let bytes = store.get("after the crash").and_then(|p| p.bytes()).map_err(|e| format!("reading it: {e:?}"))?;
    if *bytes != [7] {
        return Err("what was written after the crash is not there".into());
    }
    Ok(())
}

/// Cuts the power again during recovery, at every sync, in a few ways.
fn check_nested(
    image: &Image,
    states: &[State],
    acknowledged: Option<usize>,
    durability: Durability,
    random: &mut Random,
) -> Result<u64, String> {
    let disk = SimDisk::from_image(image);
    disk.record();
    let opened = Store::open_on(disk.process(), &small_options(durability), acknowledged.is_none());
    drop(opened.map_err(|e| format!("recovering: {e:?}"))?);
    let mut again = Persistence::from_image(image);
    let effort = Effort { single_changes: 3, random_states: 3, nested_one_in: 0, seed: 0 };
    let mut count = 0;
    for op in disk.trace() {
        if matches!(op, Op::Sync { .. } | Op::SyncDir { .. }) {
            for image in crash_images(&again, effort, random) {
                count += 1;
                check_state(&image, states, acknowledged, durability, false)
                    .map_err(|what| format!("second power cut, during recovery: {what}"))?;
            }
        }
        again.apply(&op);
    }
    Ok(count)
}

/// Carries a workload out in a store that may be killed at any step; for tests with several processes.
pub fn run_on(process: Arc<dyn crate::file::Volume>, durability: Durability, create: bool) -> crate::Result<Store> {
    Store::open_on(process, &small_options(durability), create)
}

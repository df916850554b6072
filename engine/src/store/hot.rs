//! The hot tier: what is pinned is read into memory after the store was opened, within a budget, by a thread that ends
//! with the store; and how much of it is in memory.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use crate::catalog::{CopyRow, VersionRow, View};
use crate::error::Result;
use crate::format::Tier;
use crate::segment::PayloadCopy;

use super::options::Options;
use super::policy::{policy_in, survey};
use super::stat::TierStat;
use super::{ReadMode, Store, StoreInner};

/// Bytes verified between two looks at whether the store was closed.
const STEP_BYTES: u64 = 8 << 20;

/// The thread that reads what is pinned. Dropped, it tells the thread to stop and waits for it: some milliseconds.
#[derive(Debug)]
pub(super) struct Prefetch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts the thread if there is anything to read. A thread that cannot be had is no error: reads do the work then.
    pub(super) fn start(store: &Arc<StoreInner>, options: &Options) -> Option<Self> {
        if store.pins.read().is_empty() || options.hot_bytes == 0 || options.read_mode == ReadMode::Positioned {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (weak, budget_bytes, flag) = (Arc::downgrade(store), options.hot_bytes, Arc::clone(&stop));
        let run = move || {
            if let Err(error) = prefetch(&weak, budget_bytes, &flag) {
                tracing::debug!(%error, "not everything that is pinned was prefetched");
            }
        };
        let thread = std::thread::Builder::new().name("tensoratom-hot".to_owned()).spawn(run).ok()?;
        Some(Prefetch { stop, thread: Some(thread) })
    }

    /// Ends the thread. In a forked child there is none.
    pub(super) fn end(mut self, is_forked: bool) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        // The thread itself may be the last to let go of the store.
        if !is_forked && thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

fn prefetch(store: &Weak<StoreInner>, budget_bytes: u64, stop: &AtomicBool) -> Result<()> {
    let Some(inner) = store.upgrade() else { return Ok(()) };
    let copies = pinned(&inner)?;
    let segments = Arc::clone(&inner.segments);
    // From here on the store may be closed under us; its files stay as long as we read them.
    drop(inner);
    let mut left = budget_bytes;
    for (version, place) in copies {
        if version.raw_bytes > left {
            continue;
        }
        left -= version.raw_bytes;
        let Ok(copy) = segments.open_copy(&place, &version.digest, version.raw_bytes) else { continue };
        for start in (0..version.raw_bytes).step_by(STEP_BYTES as usize) {
            if stop.load(Ordering::Relaxed) || segments.fork().is_forked() {
                return Ok(());
            }
            // Damage is for whoever reads the atom to hear of.
            if copy.slice(start..version.raw_bytes.min(start + STEP_BYTES), || None).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Pinned payloads that lie in the warm tier, with their copies, in the order of their names.
fn pinned(inner: &StoreInner) -> Result<Vec<(VersionRow, CopyRow)>> {
    let reader = inner.catalog.read()?;
    reader.consistently(|view| pinned_in(view))
}

fn pinned_in(view: View<'_>) -> Result<Vec<(VersionRow, CopyRow)>> {
    let numbers = view.namespaces()?;
    let number = |name: &str| numbers.iter().find(|(_, known)| known == name).map(|(id, _)| *id);
    let hot = survey(view, &policy_in(view)?)?.into_iter().filter(|state| state.wish.is_pinned);
    let mut wanted: HashSet<_> = hot
        .filter(|state| state.tier == Tier::Warm)
        .filter_map(|state| Some((number(&state.namespace)?, state.digest)))
        .collect();
    let mut versions = Vec::new();
    view.descriptions(
        |namespace, digest| wanted.remove(&(namespace, *digest)),
        |namespace, version| versions.push((namespace, version)),
    )?;
    let mut found = Vec::with_capacity(versions.len());
    for (namespace, version) in versions {
        if let Some(stored) = view.payload(namespace, &version.digest)? {
            found.push((version, stored.copy));
        }
    }
    Ok(found)
}

impl Store {
    /// Pinned payloads in the warm tier, and how much of them is in memory.
    pub(super) fn hot_stat(&self) -> Result<(TierStat, u64)> {
        let inner = &self.inner;
        let mut sums = TierStat::default();
        let mut resident_bytes = 0;
        if inner.pins.read().is_empty() {
            return Ok((sums, resident_bytes));
        }
        for (version, place) in pinned(inner)? {
            sums.payloads += 1;
            sums.raw_bytes += version.raw_bytes;
            sums.stored_bytes += place.stored_bytes;
            let copy = inner.segments.open_copy(&place, &version.digest, version.raw_bytes);
            resident_bytes += copy.and_then(|copy| PayloadCopy::resident_bytes(&copy)).unwrap_or(0);
        }
        Ok((sums, resident_bytes))
    }
}

//! The hot tier: what is pinned is read into memory after the store was opened, within a budget, by a thread that ends
//! with the store; and how much of it is in memory.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::catalog::{Catalog, CopyRow, LATEST, Span};
use crate::digest::Digest;
use crate::error::Result;
use crate::format::Tier;
use crate::key::{Key, KeyRef};
use crate::tier::TierPin;

use super::options::Options;
use super::segments::Segments;
use super::stat::TierStat;
use super::{ReadMode, Store, StoreInner};

/// Bytes verified between two looks at whether the store was closed.
const STEP_BYTES: u64 = 8 << 20;
/// Versions asked for at once.
const PAGE: usize = 1024;

/// The thread that reads what is pinned. Dropped, it tells the thread to stop and waits for it: some milliseconds.
#[derive(Debug)]
pub(super) struct Prefetch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts the thread if there is anything to read. A thread that cannot be had is no error: reads do the work then.
    pub(super) fn start(store: &StoreInner, options: &Options) -> Option<Self> {
        let pins = store.pins.read().list();
        if pins.is_empty() || options.hot_bytes == 0 || options.read_mode == ReadMode::Positioned {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let reading = Reading {
            catalog: Arc::clone(&store.catalog),
            segments: Arc::clone(&store.segments),
            pins,
            stop: Arc::clone(&stop),
        };
        let budget_bytes = options.hot_bytes;
        let run = move || {
            if let Err(error) = reading.run(budget_bytes) {
                tracing::debug!(%error, "not everything that is pinned was prefetched");
            }
        };
        let thread = std::thread::Builder::new().name("tensoratom-hot".to_owned()).spawn(run).ok()?;
        Some(Prefetch { stop, thread: Some(thread) })
    }

    /// Ends the thread. In a forked child there is none, and nothing may wait for it.
    pub(super) fn end(mut self, is_forked: bool) {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) if !is_forked => drop(thread.join()),
            thread => drop(thread),
        }
    }
}

/// What the thread needs: not the store itself, which it would keep open.
struct Reading {
    catalog: Arc<Catalog>,
    segments: Arc<Segments>,
    pins: Vec<(u32, TierPin)>,
    stop: Arc<AtomicBool>,
}

impl Reading {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.segments.fork().is_forked()
    }

    fn run(&self, budget_bytes: u64) -> Result<()> {
        let mut left = budget_bytes;
        for_each_pinned(&self.catalog, &self.pins, |digest, raw_bytes, place| {
            if let Some(rest) = left.checked_sub(raw_bytes) {
                left = rest;
                self.read(digest, raw_bytes, place);
            }
            !self.is_over() && left > 0
        })
    }

    /// Brings one payload into memory, verified. Damage is for whoever reads the atom to hear of.
    fn read(&self, digest: &Digest, raw_bytes: u64, place: &CopyRow) {
        let Ok(copy) = self.segments.open_copy(place, digest, raw_bytes) else { return };
        let mut start = 0;
        while start < raw_bytes && !self.is_over() {
            let end = raw_bytes.min(start.saturating_add(STEP_BYTES));
            if copy.slice(start..end, || None).is_err() {
                return;
            }
            start = end;
        }
    }
}

/// Calls `each` with every pinned payload in the warm tier once, pin by pin, atoms before vector sets, until it says no.
/// Reads the catalog where the pins are, not all of it.
fn for_each_pinned(
    catalog: &Catalog,
    pins: &[(u32, TierPin)],
    mut each: impl FnMut(&Digest, u64, &CopyRow) -> bool,
) -> Result<()> {
    let mut seen: HashSet<(u32, Digest)> = HashSet::new();
    let mut take = |namespace: u32, digest: &Digest, raw_bytes: u64, place: Option<&CopyRow>| {
        let place = place.filter(|place| place.tier == Tier::Warm);
        place.is_none_or(|place| !seen.insert((namespace, *digest)) || each(digest, raw_bytes, place))
    };
    let reader = catalog.read()?;
    for (namespace, pin) in pins {
        let (mut after, is_one) = (pin.integer.and_then(|number| number.checked_sub(1)).map(Key::Int), pin.is_one());
        let prefix = if pin.integer.is_some() { "" } else { pin.prefix.as_str() };
        loop {
            // A new look for every page: a long listing must not hold back the catalog's log.
            let view = reader.view()?;
            let limit = if is_one { 1 } else { PAGE };
            let span = Span { prefix, after: after.as_ref().map(Key::as_ref), limit };
            let page = view.list(*namespace, span, LATEST)?;
            for (version, _) in &page {
                if !pin.fits(&pin.namespace, version.key.as_ref()) {
                    continue;
                }
                let stored = view.payload(*namespace, &version.digest)?;
                if !take(*namespace, &version.digest, version.raw_bytes, stored.as_ref().map(|stored| &stored.copy)) {
                    return Ok(());
                }
            }
            after = page.last().map(|(version, _)| version.key.clone());
            if is_one || page.len() < PAGE {
                break;
            }
        }
        let view = reader.view()?;
        for set in view.vector_sets(*namespace, LATEST)? {
            if !pin.fits(&pin.namespace, KeyRef::Name(&set.spec.name)) {
                continue;
            }
            for state in view.parts(set.spec.set, LATEST)? {
                let part = view.part(set.spec.set, &state)?;
                for placed in [Some(part.vectors), Some(part.ids), part.companion].into_iter().flatten() {
                    if !take(*namespace, &placed.digest, placed.raw_bytes, placed.copy.as_ref()) {
                        return Ok(());
                    }
                }
            }
        }
    }
    Ok(())
}

impl Store {
    /// Pinned payloads in the warm tier, and how much of them is in memory.
    pub(super) fn hot_stat(&self) -> Result<(TierStat, u64)> {
        let inner = &self.inner;
        let mut sums = TierStat::default();
        let mut resident_bytes = 0_u64;
        let pins = inner.pins.read().list();
        for_each_pinned(&inner.catalog, &pins, |digest, raw_bytes, place| {
            sums.payloads += 1;
            sums.raw_bytes += raw_bytes;
            sums.stored_bytes += place.stored_bytes;
            let copy = inner.segments.open_copy(place, digest, raw_bytes);
            resident_bytes += copy.and_then(|copy| copy.resident_bytes()).unwrap_or(0);
            true
        })?;
        Ok((sums, resident_bytes))
    }
}

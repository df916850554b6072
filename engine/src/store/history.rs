//! Which moments of the store can still be looked at: what was forgotten, and what this process holds on to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::catalog::Forget;
use crate::error::{Error, ErrorKind, Result};

/// What this process knows of the store's history.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Moments from this commit on can all be seen. A copy of what `forgotten` says, for the common question.
    horizon: AtomicU64,
    forgotten: RwLock<Forget>,
    /// Moments that snapshots of this process show, with their number.
    held: Mutex<BTreeMap<u64, usize>>,
}

/// Keeps the history that one moment needs, in this process, for as long as it lives.
#[derive(Debug)]
pub(super) struct Hold {
    history: Arc<History>,
    lsn: u64,
}

impl History {
    /// Takes note of what was forgotten, here or elsewhere.
    pub(super) fn learn(&self, forgotten: Forget) {
        let mut known = self.forgotten.write();
        self.horizon.store(forgotten.horizon, Ordering::Release);
        *known = forgotten;
    }

    /// Fails with `Forgotten` for a moment that can no longer be looked at.
    pub(super) fn check(&self, lsn: u64) -> Result<()> {
        if lsn >= self.horizon.load(Ordering::Acquire) {
            return Ok(());
        }
        let forgotten = self.forgotten.read();
        if forgotten.shows(lsn) {
            return Ok(());
        }
        let what = format!(
            "the store as it was after commit {lsn} was forgotten; commit {} is the oldest left",
            forgotten.horizon
        );
        Err(Error::new(ErrorKind::Forgotten, what)
            .hint("take a newer snapshot, or keep history longer when space is reclaimed"))
    }

    /// Holds a moment against `gc` of this process.
    pub(super) fn hold(self: &Arc<Self>, lsn: u64) -> Arc<Hold> {
        *self.held.lock().entry(lsn).or_default() += 1;
        Arc::new(Hold { history: Arc::clone(self), lsn })
    }

    /// The moments held, ascending.
    pub(super) fn held(&self) -> Vec<u64> {
        self.held.lock().keys().copied().collect()
    }

    /// Whether a moment could be looked at when this was last asked of the catalog.
    pub(super) fn shows(&self, lsn: u64) -> bool {
        self.check(lsn).is_ok()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.history.held.lock();
        if let Some(count) = held.get_mut(&self.lsn) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.lsn);
            }
        }
    }
}

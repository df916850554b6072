//! How often and when payloads are read: counted in memory without slowing reads down, told to the catalog in batches.
//! Approximate by intent: a count may miss reads of several threads at once, a time is that of a read in sixteen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::catalog::{PayloadId, UseRow};
use crate::digest::Digest;
use crate::error::Result;

use super::StoreInner;

/// How long reads are only counted before the next commit of this process tells of them.
const TELL_AFTER: Duration = Duration::from_secs(300);
/// One read in so many looks at the clock; a power of two.
const CLOCK_ONE_IN: u32 = 16;
/// Payloads counted before some are forgotten.
const COUNTED_MAX: usize = 1 << 18;
/// Payloads told of in one transaction, so that others need not wait long for the write lock.
const TOLD_AT_ONCE: usize = 8192;
/// How long closing a store waits for the write lock.
const CLOSING_TIMEOUT: Duration = Duration::from_millis(100);

/// Reads of one payload through one part of the cache. On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct UseCount {
    payload: PayloadId,
    digest: Digest,
    count: AtomicU32,
    last_used_us: AtomicU64,
    /// Whether [`Usage`] knows of it.
    is_listed: AtomicBool,
}

impl UseCount {
    pub(super) fn new(payload: PayloadId, digest: Digest) -> Arc<Self> {
        Arc::new(UseCount {
            payload,
            digest,
            count: AtomicU32::new(0),
            last_used_us: AtomicU64::new(0),
            is_listed: AtomicBool::new(false),
        })
    }

    /// The same payload, counted apart.
    pub(super) fn apart(&self) -> Arc<Self> {
        UseCount::new(self.payload, self.digest)
    }

    /// Counts one read: a few loads and a store, no exclusive access to the line.
    #[inline]
    pub(super) fn note(self: &Arc<Self>, usage: &Usage, now_us: impl FnOnce() -> i64) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.saturating_add(1), Ordering::Relaxed);
        if count.is_multiple_of(CLOCK_ONE_IN) || !self.is_listed.load(Ordering::Relaxed) {
            self.note_time(usage, now_us());
        }
    }

    #[cold]
    fn note_time(self: &Arc<Self>, usage: &Usage, now_us: i64) {
        self.last_used_us.store(u64::try_from(now_us).unwrap_or(0), Ordering::Relaxed);
        if !self.is_listed.swap(true, Ordering::AcqRel) {
            usage.list(Arc::clone(self));
        }
    }

    /// What was counted since the last time.
    fn take(&self) -> UseRow {
        self.is_listed.store(false, Ordering::Release);
        UseRow {
            payload: self.payload,
            digest: self.digest,
            count: self.count.swap(0, Ordering::Relaxed).into(),
            last_used_us: self.last_used_us.load(Ordering::Relaxed),
        }
    }
}

/// What a process read and has not told.
#[derive(Debug)]
pub(super) struct Usage {
    listed: Mutex<Vec<Arc<UseCount>>>,
    /// Taken from the list, and not told because that failed.
    untold: Mutex<Vec<UseRow>>,
    told_at: Mutex<Instant>,
}

impl Usage {
    pub(super) fn new() -> Self {
        Usage { listed: Mutex::default(), untold: Mutex::default(), told_at: Mutex::new(Instant::now()) }
    }

    fn list(&self, used: Arc<UseCount>) {
        let mut listed = self.listed.lock();
        if listed.len() >= COUNTED_MAX {
            for forgotten in listed.drain(..COUNTED_MAX / 2) {
                let _ = forgotten.take();
            }
        }
        listed.push(used);
    }

    /// Everything counted, one row per payload.
    fn take(&self) -> Vec<UseRow> {
        let listed = std::mem::take(&mut *self.listed.lock());
        let untold = std::mem::take(&mut *self.untold.lock());
        let mut sums: HashMap<(PayloadId, Digest), UseRow> = HashMap::new();
        for row in listed.iter().map(|used| used.take()).chain(untold) {
            let sum = sums.entry((row.payload, row.digest)).or_insert(UseRow { count: 0, ..row });
            sum.count = sum.count.saturating_add(row.count);
            sum.last_used_us = sum.last_used_us.max(row.last_used_us);
        }
        let mut rows: Vec<UseRow> = sums.into_values().collect();
        rows.sort_unstable_by_key(|row| row.payload);
        rows
    }

    fn is_empty(&self) -> bool {
        self.listed.lock().is_empty() && self.untold.lock().is_empty()
    }
}

impl StoreInner {
    /// Tells the catalog what this process read. Survives the process; after power loss a part may be missing. Keeps
    /// what could not be told.
    pub(super) fn tell_usage(&self, timeout: Duration) -> Result<u64> {
        let usage = self.segments.usage();
        *usage.told_at.lock() = Instant::now();
        let rows = usage.take();
        let mut told = 0;
        for some in rows.chunks(TOLD_AT_ONCE) {
            let tell = || {
                let transaction = self.catalog.begin(false, timeout)?;
                transaction.add_uses(some)?;
                transaction.commit()
            };
            if let Err(error) = tell() {
                usage.untold.lock().extend_from_slice(&rows[told..]);
                return Err(error);
            }
            told += some.len();
        }
        Ok(told as u64)
    }

    /// Tells what was read if that is due. After a commit of this process; what fails here fails no commit.
    pub(super) fn tell_usage_if_due(&self) {
        let usage = self.segments.usage();
        if usage.told_at.lock().elapsed() >= TELL_AFTER
            && !usage.is_empty()
            && let Err(error) = self.tell_usage(CLOSING_TIMEOUT)
        {
            tracing::debug!(%error, "statistics of use stay in memory");
        }
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        if let Some(prefetch) = self.prefetch.get_mut().take() {
            prefetch.end(self.fork.is_forked());
        }
        if self.check_writable().is_ok()
            && !self.segments.usage().is_empty()
            && let Err(error) = self.tell_usage(CLOSING_TIMEOUT)
        {
            tracing::debug!(%error, "statistics of use are lost");
        }
    }
}

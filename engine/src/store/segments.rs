//! The segments a process has open: readers shared by everyone, and the appenders it owns.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::catalog::{Catalog, CopyRow, PayloadId, SegmentRow, SegmentState};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{ForkGuard, Volume, is_out_of_handles, open_files_limit};
use crate::format::{SEGMENT_HEADER_AREA, Tier, names};
use crate::segment::{Appender, Description, Lease, PayloadCopy, Placement, SegmentKey, SegmentReader};

use super::cache::AtomCache;
use super::cold::Sites;
use super::identity::StoreIdentity;
use super::options::Options;
use super::usage::Usage;

/// An open segment is sealed when less than this part of it is left.
const SEAL_BELOW: u64 = 16;
/// Segments one transaction fills before it asks for larger ones, so that file handles stay few.
const SEGMENTS_PER_TRANSACTION: u64 = 128;

/// Own segments kept for appending; more, and the fullest are sealed.
const FREE_MAX: usize = 64;
/// Of these, how many keep the space preallocated behind their tail.
const FREE_ROOMY: usize = 8;
/// One segment in so many file handles that the process may have is kept open for reading; each takes two.
const HANDLES_PER_READER: u64 = 4;
/// Segments kept open for reading where the system sets no limit.
const READERS_MAX: usize = 16_384;

/// What readers of payloads need; outlives the store as long as somebody holds bytes.
#[derive(Debug)]
pub(crate) struct Segments {
    volume: Arc<dyn Volume>,
    sites: Sites,
    fork: Arc<ForkGuard>,
    readers: Mutex<Readers>,
    /// What keeps segments open although nobody reads them.
    cache: Weak<AtomCache>,
    /// Asked once more when a segment is gone: gone with the store's last handle.
    catalog: Weak<Catalog>,
    /// Payloads opened before and still in use, so that all keys of a payload share what was verified.
    copies: Mutex<HashMap<(u64, u64), Weak<PayloadCopy>>>,
    free: Mutex<Vec<Appender>>,
    store_uuid: [u8; 16],
    chunk_bytes: u32,
    segment_bytes: u64,
    threads: usize,
    lock_timeout: Duration,
    usage: Usage,
    pool: OnceLock<rayon::ThreadPool>,
}

/// Segments open for reading.
#[derive(Debug)]
struct Readers {
    open: HashMap<u64, Arc<SegmentReader>>,
    /// How many there may be before those that nobody reads are closed.
    limit: usize,
}

impl Segments {
    pub(crate) fn new(
        volume: Arc<dyn Volume>,
        sites: Sites,
        fork: Arc<ForkGuard>,
        identity: &StoreIdentity,
        options: &Options,
        cache: &Arc<AtomCache>,
        catalog: &Arc<Catalog>,
    ) -> Self {
        Segments {
            volume,
            sites,
            fork,
            readers: Mutex::new(Readers { open: HashMap::new(), limit: readers_limit() }),
            cache: Arc::downgrade(cache),
            catalog: Arc::downgrade(catalog),
            copies: Mutex::default(),
            free: Mutex::default(),
            store_uuid: identity.uuid,
            chunk_bytes: identity.chunk_bytes,
            segment_bytes: identity.segment_bytes,
            threads: options.threads,
            lock_timeout: options.lock_timeout,
            usage: Usage::new(),
            pool: OnceLock::new(),
        }
    }

    /// What was read and is not in the catalog yet.
    #[inline]
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Where segments are.
    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Microseconds since the Unix epoch.
    pub(super) fn now_us(&self) -> i64 {
        self.volume.now_us()
    }

    pub(crate) fn fork(&self) -> &ForkGuard {
        &self.fork
    }

    /// Threads for hashing and verification, started at the first call.
    pub(crate) fn pool(&self) -> Result<&rayon::ThreadPool> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|i| format!("tensoratom-{i}"))
            .build()
            .map_err(|e| Error::internal("threads cannot be started").source_box(e.into()))?;
        Ok(self.pool.get_or_init(|| pool))
    }

    /// Threads for the first touch of a large payload; none where they cannot be had, which is slower and no error, or
    /// where they stayed in the parent.
    pub(crate) fn helpers(&self) -> Option<&rayon::ThreadPool> {
        if self.threads == 1 || self.fork.is_forked() { None } else { self.pool().ok() }
    }

    /// A segment of a tier for reading, opened and leased at the first call. Fails with `ColdUnavailable` when it is in the
    /// cold directory and that is away.
    pub(crate) fn reader(&self, tier: Tier, key: SegmentKey) -> Result<Arc<SegmentReader>> {
        if let Some(reader) = self.known_reader(key) {
            return Ok(reader);
        }
        let open = || SegmentReader::open(&self.sites.of(tier)?, key);
        let reader = match open() {
            Err(e) if e.os_code().is_some_and(is_out_of_handles) => {
                self.close_idle();
                open()
            }
            other => other,
        };
        let reader = Arc::new(reader.map_err(|e| e.segment(key.id))?);
        let mut readers = self.readers.lock();
        let is_many = readers.open.len() >= readers.limit;
        // Another thread may have been faster: all share one, and one map.
        let known = readers.open.get(&key.id).filter(|known| known.salt() == key.salt && !known.has_failed());
        let reader = known.map(Arc::clone).unwrap_or(reader);
        readers.open.insert(key.id, Arc::clone(&reader));
        drop(readers);
        if is_many {
            self.close_idle();
        }
        Ok(reader)
    }

    fn known_reader(&self, key: SegmentKey) -> Option<Arc<SegmentReader>> {
        let readers = self.readers.lock();
        let known = readers.open.get(&key.id).filter(|reader| reader.salt() == key.salt && !reader.has_failed());
        known.map(Arc::clone)
    }

    /// Closes segments that nobody reads. What was remembered of their atoms is looked up and verified again.
    fn close_idle(&self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.clear();
        }
        self.copies.lock().retain(|_, copy| copy.strong_count() > 0);
        let mut readers = self.readers.lock();
        readers.open.retain(|_, reader| Arc::strong_count(reader) > 1);
        // Where most are in use there is little to gain by trying again soon.
        readers.limit = readers_limit().max(2 * readers.open.len());
    }

    /// Bytes of the checksums that an opened payload of this length keeps.
    pub(crate) fn chunk_table_bytes(&self, raw_bytes: u64) -> u64 {
        raw_bytes / u64::from(self.chunk_bytes) * 8
    }

    /// Closes segments that wait to be deleted, as far as nobody reads them. Atoms remembered are looked up again.
    pub(crate) fn let_go(&self, condemned: &[u64]) {
        let is_open = |readers: &Readers| condemned.iter().any(|id| readers.open.contains_key(id));
        if !is_open(&self.readers.lock()) {
            return;
        }
        if let Some(cache) = self.cache.upgrade() {
            cache.clear();
        }
        self.copies.lock().retain(|(segment, _), _| !condemned.contains(segment));
        self.readers.lock().open.retain(|id, _| !condemned.contains(id));
    }

    /// A payload's copy, its header and chunk table checked. Where its segment is gone because the payload was moved
    /// since `place` was looked up, the new copy.
    pub(crate) fn open_copy(&self, place: &CopyRow, digest: &Digest, raw_bytes: u64) -> Result<Arc<PayloadCopy>> {
        let mut place = place.clone();
        loop {
            let error = match self.open_copy_at(&place, digest, raw_bytes) {
                Err(error) if is_of_its_place(error.kind()) => error,
                other => return other,
            };
            match self.place_now(place.payload, digest)? {
                // Copies only ever go to newer segments, so this ends.
                Some(now) if (now.segment, now.offset) != (place.segment, place.offset) => place = now,
                _ => return Err(error),
            }
        }
    }

    /// Where a payload lies now, as far as the store is still open.
    fn place_now(&self, payload: PayloadId, digest: &Digest) -> Result<Option<CopyRow>> {
        match self.catalog.upgrade() {
            Some(catalog) => catalog.read()?.view()?.place_of(payload, digest),
            None => Ok(None),
        }
    }

    fn open_copy_at(&self, place: &CopyRow, digest: &Digest, raw_bytes: u64) -> Result<Arc<PayloadCopy>> {
        if let Some(copy) = self.known_copy(place, digest)
            && self.is_on_base_of_now(&copy, place.payload)?
        {
            return Ok(copy);
        }
        let reader = self.reader(place.site, place.key())?;
        let copy = PayloadCopy::open(reader, place.offset, digest, raw_bytes)?;
        Ok(self.remember(place, self.with_base(copy, place.payload)?))
    }

    /// Whether a copy is read through the copy of its base that the catalog knows: one that was damaged may have been healed.
    fn is_on_base_of_now(&self, copy: &PayloadCopy, payload: PayloadId) -> Result<bool> {
        let (Some(base), Some(catalog)) = (copy.base(), self.catalog.upgrade()) else { return Ok(true) };
        let now = catalog.read()?.view()?.base_of(payload, &base.record().digest)?;
        Ok(now.is_some_and(|now| (now.segment, now.offset) == base.place()))
    }

    /// The same copy with the payload it is coded against, if it is, as the catalog places that now.
    pub(crate) fn with_base(&self, copy: PayloadCopy, payload: PayloadId) -> Result<PayloadCopy> {
        let Some(digest) = copy.record().base else { return Ok(copy) };
        let raw_bytes = copy.record().raw_bytes;
        let catalog = self.catalog.upgrade().ok_or_else(|| {
            Error::new(ErrorKind::Closed, "the store was closed before the payload's base was looked up")
        })?;
        let mut error = Error::corrupt(format!("the payload {digest} that it is coded against is not there"));
        let mut tried = None;
        loop {
            let place = catalog.read()?.view()?.base_of(payload, &digest)?;
            let Some(place) = place.filter(|place| tried != Some((place.segment, place.offset))) else {
                return Err(error);
            };
            match self.open_base_at(&place, &digest, raw_bytes) {
                Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                    error = e.of(format_args!("its base {digest}"));
                }
                base => return copy.on_base(base?),
            }
            // Moved since: it lies elsewhere now, in a newer segment.
            tried = Some((place.segment, place.offset));
        }
    }

    /// A payload that others are coded against; it is coded against none itself, which [`PayloadCopy::on_base`] checks.
    fn open_base_at(&self, place: &CopyRow, digest: &Digest, raw_bytes: u64) -> Result<Arc<PayloadCopy>> {
        if let Some(copy) = self.known_copy(place, digest) {
            return Ok(copy);
        }
        let reader = self.reader(place.site, place.key())?;
        let copy = PayloadCopy::open(reader, place.offset, digest, raw_bytes)?;
        // Kept for others only if it is whole, which one that needs a base is not.
        let is_whole = copy.record().base.is_none();
        Ok(if is_whole { self.remember(place, copy) } else { Arc::new(copy) })
    }

    fn known_copy(&self, place: &CopyRow, digest: &Digest) -> Option<Arc<PayloadCopy>> {
        let known = self.copies.lock().get(&(place.segment, place.offset)).and_then(Weak::upgrade);
        known.filter(|copy| copy.record().digest == *digest && !copy.has_failed())
    }

    fn remember(&self, place: &CopyRow, copy: PayloadCopy) -> Arc<PayloadCopy> {
        let (key, copy) = ((place.segment, place.offset), Arc::new(copy));
        let mut copies = self.copies.lock();
        if copies.len() >= 1024 && copies.len().is_power_of_two() {
            copies.retain(|_, copy| copy.strong_count() > 0);
        }
        copies.insert(key, Arc::downgrade(&copy));
        copy
    }

    /// An appender with room for a payload (`None`: of unknown length) in a segment of a tier: one of ours, one whose owner
    /// died, or a new one. Fails with `ColdUnavailable` for the cold tier while its directory is away.
    ///
    /// `expected_bytes` is what the transaction is going to write in all; very large ones get larger segments. Not to be
    /// called while holding the catalog's write lock, which taking over a segment may need.
    pub(crate) fn appender(
        &self,
        catalog: &Catalog,
        tier: Tier,
        description: &Description,
        raw_bytes: Option<u64>,
        expected_bytes: u64,
    ) -> Result<Appender> {
        // Asked first: the files of a disk that is away stay open, and swallow nothing more.
        let placement = self.placement(tier)?;
        if let Some(appender) = self.free_appender(tier, description, raw_bytes)? {
            return Ok(appender);
        }
        match self.adopted_appender(catalog, &placement, description, raw_bytes)? {
            Some(appender) => Ok(appender),
            None => self.new_appender(catalog, &placement, expected_bytes),
        }
    }

    fn placement(&self, tier: Tier) -> Result<Placement> {
        let (store_uuid, chunk_bytes) = (self.store_uuid, self.chunk_bytes);
        Ok(Placement { site: self.sites.of(tier)?, store_uuid, chunk_bytes })
    }

    /// As [`Segments::appender`] of the warm tier, without taking over: for use under the catalog's write lock.
    pub(crate) fn own_appender(
        &self,
        catalog: &Catalog,
        description: &Description,
        raw_bytes: u64,
    ) -> Result<Appender> {
        match self.free_appender(Tier::Warm, description, Some(raw_bytes))? {
            Some(appender) => Ok(appender),
            None => self.new_appender(catalog, &self.placement(Tier::Warm)?, 0),
        }
    }

    fn new_appender(&self, catalog: &Catalog, placement: &Placement, expected_bytes: u64) -> Result<Appender> {
        let first_id = self.next_id(catalog)?;
        let capacity = self.segment_bytes.max(expected_bytes.div_ceil(SEGMENTS_PER_TRANSACTION));
        Appender::create(placement, first_id, capacity)
    }

    fn free_appender(&self, tier: Tier, description: &Description, raw_bytes: Option<u64>) -> Result<Option<Appender>> {
        let mut free = self.free.lock();
        for i in 0..free.len() {
            if free[i].tier() == tier && free[i].fits(description, raw_bytes)? {
                return Ok(Some(free.swap_remove(i)));
            }
        }
        Ok(None)
    }

    fn adopted_appender(
        &self,
        catalog: &Catalog,
        placement: &Placement,
        description: &Description,
        raw_bytes: Option<u64>,
    ) -> Result<Option<Appender>> {
        let mut candidates = catalog.read()?.view()?.open_segments()?;
        candidates.retain(|row| row.tier == placement.site.tier());
        for candidate in candidates {
            let Some(lease) = Lease::take(&placement.site, candidate.id)? else { continue };
            // Only now is the row final: nobody else appends while we hold the lease.
            let row = catalog.read()?.view()?.segment(candidate.id)?;
            let Some(row) = row.filter(|row| row.state == candidate.state && !row.suspect) else { continue };
            let settle = || self.settle(catalog, row.id);
            let adopted = Appender::adopt(placement, lease, row.salt, row.used_bytes, settle)?;
            let Some(appender) = adopted else { continue };
            if appender.fits(description, raw_bytes)? {
                return Ok(Some(appender));
            }
            self.free.lock().push(appender);
        }
        Ok(None)
    }

    /// The appender of an open segment: ours, or that of an owner who died. `None` while somebody is appending.
    pub(crate) fn own(&self, catalog: &Catalog, segment: &SegmentRow) -> Result<Option<Appender>> {
        let id = segment.id;
        let placement = self.placement(segment.tier)?;
        {
            let mut free = self.free.lock();
            if let Some(at) = free.iter().position(|appender| appender.id() == id) {
                return Ok(Some(free.swap_remove(at)));
            }
        }
        let Some(lease) = Lease::take(&placement.site, id)? else { return Ok(None) };
        let row = catalog.read()?.view()?.segment(id)?;
        let Some(row) = row.filter(|row| row.state == SegmentState::Open && !row.suspect) else { return Ok(None) };
        Appender::adopt(&placement, lease, row.salt, row.used_bytes, || self.settle(catalog, id))
    }

    /// Buries whatever the dead owner's last commit left in the catalog's log without anybody having seen it: a commit of
    /// our own takes its place there, durably. Returns where the segment's committed part ends after that.
    fn settle(&self, catalog: &Catalog, segment: u64) -> Result<u64> {
        catalog.fence(self.lock_timeout)?;
        let row = catalog.read()?.view()?.segment(segment)?;
        row.map(|row| row.used_bytes).ok_or_else(|| Error::internal("a segment left the catalog"))
    }

    /// A segment number that neither the catalog nor the directory has seen.
    fn next_id(&self, catalog: &Catalog) -> Result<u64> {
        let known = catalog.read()?.view()?.last_segment()?;
        let entries = self.volume.list(names::SEGMENTS).map_err(|e| Error::io("listing the segments", e))?;
        // Leases as well: the file of a cold segment may be on a disk that is away.
        let number = |name: &str| names::parse_segment(name).or_else(|| names::parse_lease(name));
        let present = entries.iter().filter_map(|entry| number(&entry.name)).max().unwrap_or(0);
        Ok(known.max(present) + 1)
    }

    /// Takes an appender back after a commit or an abandoned transaction. Broken ones are let go, with their lease.
    pub(crate) fn give_back(&self, appender: Appender) {
        if !appender.is_broken() && appender.is_clean() {
            self.free.lock().push(appender);
        }
    }

    /// Removes and returns the appenders that are nearly full, and the fullest of too many.
    pub(crate) fn take_full(&self) -> Vec<Appender> {
        let mut free = self.free.lock();
        let (mut full, mut open): (Vec<_>, Vec<_>) = free.drain(..).partition(is_full);
        while open.len() > FREE_MAX {
            let fullest = (0..open.len()).filter(|&i| !open[i].is_empty()).min_by_key(|&i| room(&open[i]));
            let Some(fullest) = fullest else { break };
            full.push(open.remove(fullest));
        }
        // Those given back last are at the end.
        open.iter_mut().rev().skip(FREE_ROOMY).for_each(Appender::trim);
        *free = open;
        full
    }

    /// Gives unused space of all own segments back to the file system. Best effort.
    pub(crate) fn trim(&self) {
        self.free.lock().iter_mut().for_each(Appender::trim);
    }
}

/// Whether an error of opening a copy may be one of the place alone, and the payload have another by now.
fn is_of_its_place(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::ColdUnavailable)
}

/// Bytes left behind the tail.
fn room(appender: &Appender) -> u64 {
    appender.capacity_bytes().saturating_sub(appender.tail())
}

fn is_full(appender: &Appender) -> bool {
    let left_for_records = (appender.capacity_bytes() - SEGMENT_HEADER_AREA) / SEAL_BELOW;
    !appender.is_empty() && room(appender) < left_for_records
}

fn readers_limit() -> usize {
    let handles = open_files_limit().map_or(u64::MAX, |handles| handles / HANDLES_PER_READER);
    usize::try_from(handles).unwrap_or(READERS_MAX).clamp(8, READERS_MAX)
}

impl Drop for Segments {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            // In a child nothing may be trimmed: the segments belong to the parent. Closing the handles is harmless.
            return;
        }
        self.trim();
    }
}

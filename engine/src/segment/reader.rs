//! A segment opened for reading: its file, its lease, and one map that grows with what is committed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, LockMode, Map, Open, read_exact_at};
use crate::format::LEASE_READER;

use super::decoded::reader_number;
use super::site::{SegmentKey, Site, failed};

/// Keeps a segment from being deleted as long as it lives, in this process or, after a `kill -9`, no longer.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    /// Of this opening, among all of this process.
    number: u64,
    key: SegmentKey,
    /// In the cold directory, whose disk may be taken away.
    is_cold: bool,
    /// A read failed: what is open may belong to a disk that is gone, even when another has come back.
    has_failed: AtomicBool,
    file: Arc<dyn File>,
    /// Holds the shared lock; absent on media where none can be taken and nothing can be deleted.
    _lease: Option<Arc<dyn File>>,
    map: RwLock<Option<Arc<Map>>>,
}

impl SegmentReader {
    /// Opens a segment and takes a shared lease of it.
    ///
    /// Fails with `NotFound` when the segment is gone or going, `Io` when the system refuses.
    pub(crate) fn open(site: &Site, key: SegmentKey) -> Result<Self> {
        let id = key.id;
        let fail = |what: &'static str| move |e: io::Error| Error::io(what, e).segment(id);
        let is_there = || site.has(id).map_err(|e| site.error("looking for the segment", e).segment(id));
        let lease = match site.open_lease(id, Open::Read) {
            // A lease made for a segment that was deleted would stay for ever.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !is_there()? => {
                return Err(Error::corrupt("the segment file is missing").segment(id));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && !site.machine().is_read_only() => {
                Some(site.open_lease(id, Open::Create).map_err(fail("creating the lease"))?)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(fail("opening the lease"))?),
        };
        if let Some(lease) = &lease {
            let held = lease.try_lock(LEASE_READER, LockMode::Shared).map_err(fail("taking the lease"))?;
            if !held {
                return Err(Error::new(ErrorKind::NotFound, "the segment is being deleted").segment(id));
            }
        }
        let file = site.open(id, Open::Read).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::corrupt("the segment file is missing").segment(id),
            _ => site.error("opening the segment", e).segment(id),
        })?;
        Ok(SegmentReader {
            number: reader_number(),
            key,
            is_cold: site.is_cold(),
            has_failed: AtomicBool::new(false),
            file,
            _lease: lease,
            map: RwLock::new(None),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.key.id
    }

    /// True when its disk may be taken away: a map of it would be a trap for whoever holds one.
    pub(crate) fn is_cold(&self) -> bool {
        self.is_cold
    }

    /// True when it has to be opened anew to be read, perhaps from a disk that came back.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// A number that no other opening of a segment in this process ever has.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn salt(&self) -> u64 {
        self.key.salt
    }

    pub(crate) fn file(&self) -> &dyn File {
        &*self.file
    }

    /// Current length of the file; a bound for every offset in it.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file.len().map_err(|e| self.device_error("asking for the segment's length", e))
    }

    /// A map that covers the committed bytes `0..end`.
    pub(crate) fn map(&self, end: u64) -> Result<Arc<Map>> {
        if let Some(map) = self.map.read().as_ref().filter(|map| map.covers(end)) {
            return Ok(Arc::clone(map));
        }
        let mut slot = self.map.write();
        if let Some(map) = slot.as_ref().filter(|map| map.covers(end)) {
            return Ok(Arc::clone(map));
        }
        let map = self.new_map(end).map_err(|e| Error::io("mapping the segment", e).segment(self.id()))?;
        let map = Arc::new(map);
        *slot = Some(Arc::clone(&map));
        Ok(map)
    }

    /// Maps the segment, as far as it may be mapped.
    #[cfg(unix)]
    fn new_map(&self, end: u64) -> io::Result<Map> {
        // Where address space is scarce, what is needed now must do.
        self.file.map(end, self.key.capacity_bytes.max(end)).or_else(|_| self.file.map(end, end))
    }

    /// Maps the segment, all of it when it is sealed. What may still grow is read instead of mapped here.
    #[cfg(windows)]
    fn new_map(&self, end: u64) -> io::Result<Map> {
        match super::footer::read_footer(&*self.file, self.key.salt) {
            Ok(_) => self.file.len().and_then(|len| self.file.map(len.max(end), len.max(end))),
            Err(_) => self.file.map(end, self.key.capacity_bytes.max(end + 1)),
        }
    }

    /// Reads a range that must exist. A shorter file is damage.
    pub(crate) fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        read_exact_at(&*self.file, buffer, offset).map_err(|e| self.read_error(e, offset))
    }

    /// Classifies a failed read: what is missing is damage of the atom, what the device refuses is I/O.
    pub(crate) fn read_error(&self, error: io::Error, offset: u64) -> Error {
        let error = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::corrupt("the segment file is shorter than its committed part").source_box(error.into())
            }
            _ => self.device_error("reading the segment", error),
        };
        error.segment(self.id()).offset(offset)
    }

    fn device_error(&self, what: &'static str, error: io::Error) -> Error {
        self.has_failed.store(self.is_cold, Ordering::Relaxed);
        failed(self.is_cold, what, error).segment(self.id())
    }
}

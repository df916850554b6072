//! A segment opened for reading: its file, its lease, and one map that grows with what is committed.

use std::io;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, LockMode, Map, Open, Volume, read_exact_at};
use crate::format::{LEASE_READER, names};

use super::decoded::reader_number;

/// Keeps a segment from being deleted as long as it lives, in this process or, after a `kill -9`, no longer.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    /// Of this opening, among all of this process.
    number: u64,
    id: u64,
    salt: u64,
    capacity_bytes: u64,
    file: Arc<dyn File>,
    /// Holds the shared lock; absent on media where none can be taken and nothing can be deleted.
    _lease: Option<Arc<dyn File>>,
    map: RwLock<Option<Arc<Map>>>,
}

impl SegmentReader {
    /// Opens a segment and takes a shared lease of it.
    ///
    /// Fails with `NotFound` when the segment is gone or going, `Io` when the system refuses.
    pub(crate) fn open(volume: &dyn Volume, id: u64, salt: u64, capacity_bytes: u64) -> Result<Self> {
        let fail = |what: &'static str| move |e: io::Error| Error::io(what, e).segment(id);
        let lease = match volume.open(&names::lease(id), Open::Read) {
            // A lease made for a segment that was deleted would stay for ever.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !is_there(volume, id)? => {
                return Err(Error::corrupt("the segment file is missing").segment(id));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && !volume.is_read_only() => {
                Some(volume.open(&names::lease(id), Open::Create).map_err(fail("creating the lease"))?)
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
        let file = volume.open(&names::segment(id), Open::Read).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::corrupt("the segment file is missing").segment(id),
            _ => fail("opening the segment")(e),
        })?;
        let map = RwLock::new(None);
        Ok(SegmentReader { number: reader_number(), id, salt, capacity_bytes, file, _lease: lease, map })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// A number that no other opening of a segment in this process ever has.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    pub(crate) fn file(&self) -> &dyn File {
        &*self.file
    }

    /// Current length of the file; a bound for every offset in it.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file.len().map_err(|e| Error::io("asking for the segment's length", e).segment(self.id))
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
        let map = self.new_map(end).map_err(|e| Error::io("mapping the segment", e).segment(self.id))?;
        let map = Arc::new(map);
        *slot = Some(Arc::clone(&map));
        Ok(map)
    }

    /// Maps the segment, as far as it may be mapped.
    #[cfg(unix)]
    fn new_map(&self, end: u64) -> io::Result<Map> {
        // Where address space is scarce, what is needed now must do.
        self.file.map(end, self.capacity_bytes.max(end)).or_else(|_| self.file.map(end, end))
    }

    /// Maps the segment, all of it when it is sealed. What may still grow is read instead of mapped here.
    #[cfg(windows)]
    fn new_map(&self, end: u64) -> io::Result<Map> {
        match super::footer::read_footer(&*self.file, self.salt) {
            Ok(_) => self.file.len().and_then(|len| self.file.map(len.max(end), len.max(end))),
            Err(_) => self.file.map(end, self.capacity_bytes.max(end + 1)),
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
            _ => Error::io("reading the segment", error),
        };
        error.segment(self.id).offset(offset)
    }
}

fn is_there(volume: &dyn Volume, id: u64) -> Result<bool> {
    volume.exists(&names::segment(id)).map_err(|e| Error::io("looking for the segment", e).segment(id))
}

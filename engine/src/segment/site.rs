//! Where segments lie: in the store's own directory, or those of the cold tier in a directory that may be on another
//! disk. Leases are in the store's directory in either case: locks need a local disk that is always there.

use std::io;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::file::{Entry, File, Open, Volume, is_out_of_handles};
use crate::format::{Tier, names};

/// What is needed to open a segment: its number, what every record in it repeats, and how large it may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentKey {
    pub(crate) id: u64,
    pub(crate) salt: u64,
    pub(crate) capacity_bytes: u64,
}

/// A directory of segments, with the directory of their leases.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    leases: Arc<dyn Volume>,
    files: Arc<dyn Volume>,
    /// Of the segments that are made here.
    tier: Tier,
}

impl Site {
    /// The store's own directory.
    pub(crate) fn warm(store: &Arc<dyn Volume>) -> Self {
        Site { leases: Arc::clone(store), files: Arc::clone(store), tier: Tier::Warm }
    }

    /// The directory of the cold tier.
    pub(crate) fn cold(store: &Arc<dyn Volume>, cold: Arc<dyn Volume>) -> Self {
        Site { leases: Arc::clone(store), files: cold, tier: Tier::Cold }
    }

    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    /// True when its disk may be taken away, so that no caller may be handed a map of it.
    pub(crate) fn is_cold(&self) -> bool {
        self.tier == Tier::Cold
    }

    /// Clock, random numbers, and whether anything can be written.
    pub(crate) fn machine(&self) -> &dyn Volume {
        &*self.leases
    }

    /// Opens a segment's file.
    pub(crate) fn open(&self, id: u64, how: Open) -> io::Result<Arc<dyn File>> {
        self.files.open(&self.name(id), how)
    }

    /// Opens a segment's lease.
    pub(crate) fn open_lease(&self, id: u64, how: Open) -> io::Result<Arc<dyn File>> {
        self.leases.open(&names::lease(id), how)
    }

    /// Whether a segment's file is there.
    pub(crate) fn has(&self, id: u64) -> io::Result<bool> {
        self.files.exists(&self.name(id))
    }

    /// Everything in the directory; [`names::parse_segment`] tells segments.
    pub(crate) fn list(&self) -> io::Result<Vec<Entry>> {
        self.files.list(self.dir())
    }

    /// Removes a segment's file; one that is gone is no error.
    pub(crate) fn remove(&self, id: u64) -> Result<()> {
        gone(self.files.remove(&self.name(id))).map_err(|e| self.error("deleting a segment", e).segment(id))
    }

    /// Removes a segment's lease; one that is gone is no error.
    pub(crate) fn remove_lease(&self, id: u64) -> Result<()> {
        gone(self.leases.remove(&names::lease(id))).map_err(|e| Error::io("deleting a lease", e).segment(id))
    }

    /// Makes the names of segments durable.
    pub(crate) fn sync_dir(&self) -> io::Result<()> {
        self.files.sync_dir(self.dir())
    }

    /// Makes the names of leases durable.
    pub(crate) fn sync_leases(&self) -> io::Result<()> {
        self.leases.sync_dir(names::SEGMENTS)
    }

    /// What it means that the disk of this site refused.
    pub(crate) fn error(&self, what: &'static str, error: io::Error) -> Error {
        failed(self.is_cold(), what, error)
    }

    fn dir(&self) -> &'static str {
        if self.is_cold() { "" } else { names::SEGMENTS }
    }

    fn name(&self, id: u64) -> String {
        if self.is_cold() { names::segment_leaf(id) } else { names::segment(id) }
    }
}

/// A disk that refuses; the cold one may have been taken away.
pub(super) fn failed(is_cold: bool, what: &'static str, error: io::Error) -> Error {
    // Handles are the process's: no disk has anything to do with them.
    let is_ours = error.raw_os_error().is_some_and(is_out_of_handles);
    let failed = Error::io(what, error);
    if !is_cold || is_ours || failed.kind() != ErrorKind::Io {
        return failed;
    }
    Error::cold_unavailable(format!("{what} in the cold directory")).source_of(failed)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

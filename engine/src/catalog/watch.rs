//! Tells with a few memory loads whether any process committed since the last look: the header of SQLite's shared
//! write-ahead-log index changes with every commit ("The WAL-Index File Format" in SQLite's documentation).

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::file::{Open, SharedMemory, Volume};
use crate::format::names;

/// Words of the header that change with a commit or a restart of the log: the change counter, the last frame, the two
/// salts, and the header's own checksum.
const WORDS: [usize; 6] = [2, 4, 8, 9, 10, 11];
/// Size of the first region of the index, which holds the header.
const REGION_BYTES: u64 = 32 * 1024;

/// The mapped header. Valid while at least one connection of this process is open, which keeps the file from being
/// emptied.
#[derive(Debug)]
pub(crate) struct Watch {
    volume: Arc<dyn Volume>,
    /// Empty while there is no shared memory: where this process may not write, it appears with the first writer.
    memory: OnceLock<SharedMemory>,
}

impl Watch {
    /// Maps the header. A connection must have read from the catalog before, so that the file exists.
    pub(crate) fn new(volume: &Arc<dyn Volume>) -> Result<Self> {
        let watch = Watch { volume: Arc::clone(volume), memory: OnceLock::new() };
        match watch.map() {
            Err(e) if !volume.is_read_only() => Err(Error::io("mapping the catalog's shared memory", e)),
            _ => Ok(watch),
        }
    }

    #[cold]
    fn map(&self) -> std::io::Result<Option<&SharedMemory>> {
        let file = self.volume.open(names::CATALOG_SHM, Open::Read)?;
        let Some(memory) = file.shared_memory(0..REGION_BYTES, false, false)? else { return Ok(None) };
        Ok(Some(self.memory.get_or_init(|| memory)))
    }

    /// A number that stands for the header's present contents: equal numbers mean that nobody committed in between.
    /// Takes a few nanoseconds and never blocks.
    #[inline]
    pub(crate) fn stamp(&self) -> u64 {
        let Some(memory) = self.memory.get().or_else(|| self.map().ok().flatten()) else { return 0 };
        // The change counter alone differs between any two headers in sight of each other; the rest guards against its
        // restart after a recovery. The multiplier spreads each word over all bits (Knuth, TAOCP 6.4).
        WORDS.iter().fold(0, |mix: u64, &word| {
            (mix.rotate_left(23) ^ u64::from(memory.load_u32(word))).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }
}

//! Decoded bytes of coded copies: one cache for the whole process, never larger than its budget.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::bytes::Bytes;
use crate::file::memory_bytes;

/// The budget unless one is set: this part of the machine's memory ...
const MEMORY_SHARE: u64 = 8;
/// ... and at most 1 GiB.
const BUDGET_BYTES_MAX: u64 = 1 << 30;
/// What an entry takes besides its bytes, about.
const ENTRY_BYTES: u64 = 192;
/// Entries to make room for at first: chunks of the usual size in the usual budget.
const ENTRIES_USUAL: usize = 4096;

/// What the decode cache of this process holds and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeCacheStat {
    /// Bytes it may hold.
    pub budget_bytes: u64,
    /// Bytes it holds.
    pub bytes: u64,
    /// Pieces it holds: chunks, and whole payloads.
    pub entries: u64,
    /// Pieces that were found in it.
    pub hits: u64,
    /// Pieces that had to be decoded.
    pub misses: u64,
}

impl DecodeCacheStat {
    /// Every number with its name.
    pub fn facts(&self) -> [(&'static str, u64); 5] {
        [
            ("budget_bytes", self.budget_bytes),
            ("bytes", self.bytes),
            ("entries", self.entries),
            ("hits", self.hits),
            ("misses", self.misses),
        ]
    }
}

/// Sets the memory that decoded cold payloads may take in this process, all stores together; 0 keeps nothing. Takes
/// effect at once. Default: an eighth of the memory (of the control group, where that is less), at most 1 GiB.
///
/// Bytes that callers hold are not counted: they live as long as they are held.
pub fn set_decode_cache_bytes(budget_bytes: u64) {
    let cache = cache();
    cache.entries.set_capacity(budget_bytes.min(1 << 48));
    cache.budget_bytes.store(budget_bytes.min(1 << 48), Ordering::Relaxed);
}

/// What the decode cache of this process holds and did. Blocks for no longer than a look-up does.
pub fn decode_cache() -> DecodeCacheStat {
    let cache = cache();
    DecodeCacheStat {
        budget_bytes: cache.budget_bytes.load(Ordering::Relaxed),
        bytes: cache.entries.weight(),
        entries: cache.entries.len() as u64,
        hits: cache.hits.load(Ordering::Relaxed),
        misses: cache.misses.load(Ordering::Relaxed),
    }
}

/// Which piece of which copy. A reader's number is never used again in this process, and what lies at an offset of a
/// segment's committed part never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    pub(super) reader: u64,
    pub(super) offset: u64,
    /// None for the whole payload.
    pub(super) chunk: Option<u32>,
}

/// A number for a segment opened for reading.
pub(super) fn reader_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Decoded bytes that are still there.
pub(super) fn find(piece: Piece) -> Option<Bytes> {
    let cache = cache();
    let found = cache.entries.get(&piece);
    let counter = if found.is_some() { &cache.hits } else { &cache.misses };
    counter.fetch_add(1, Ordering::Relaxed);
    found
}

/// Keeps decoded bytes if they fit. They must be a buffer of their own, not a part of a larger one.
pub(super) fn keep(piece: Piece, bytes: &Bytes) {
    if fits(bytes.len() as u64) {
        cache().entries.insert(piece, bytes.clone());
    }
}

/// Whether a piece of this length can be kept without pushing most others out.
pub(super) fn fits(len_bytes: u64) -> bool {
    len_bytes.saturating_add(ENTRY_BYTES) <= cache().budget_bytes.load(Ordering::Relaxed) / 2
}

struct DecodeCache {
    /// In one shard, because a payload may take as much as half the budget.
    entries: Cache<Piece, Bytes, ByBytes>,
    budget_bytes: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Piece, Bytes> for ByBytes {
    fn weight(&self, _piece: &Piece, bytes: &Bytes) -> u64 {
        (bytes.len() as u64).next_multiple_of(64) + ENTRY_BYTES
    }
}

fn cache() -> &'static DecodeCache {
    static CACHE: OnceLock<DecodeCache> = OnceLock::new();
    CACHE.get_or_init(|| {
        let budget_bytes = memory_bytes().map_or(BUDGET_BYTES_MAX, |memory| memory / MEMORY_SHARE);
        DecodeCache::new(budget_bytes.min(BUDGET_BYTES_MAX))
    })
}

impl DecodeCache {
    fn new(budget_bytes: u64) -> Self {
        let mut options = OptionsBuilder::new();
        options.shards(1).estimated_items_capacity(ENTRIES_USUAL).weight_capacity(budget_bytes);
        let entries = match options.build() {
            Ok(options) => {
                Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
            }
            // Only for options left out, which are not.
            Err(_) => Cache::with_weighter(ENTRIES_USUAL, budget_bytes, ByBytes),
        };
        DecodeCache {
            entries,
            budget_bytes: AtomicU64::new(budget_bytes),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }
}

//! What was read before: descriptors by key, each valid as long as no commit touched its key since.
//! A commit bumps the key's slot in a table of LSNs, so that an answer that was read before the commit and arrives in
//! the cache after it is never taken for current.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::key::{Key, KeyRef};

use super::atom::Atom;

/// Slots of the change table: 512 KiB. Two keys in one slot cost a needless look into the catalog, nothing else.
const SLOTS: usize = 1 << 16;
/// Rough size of a cached descriptor without its text.
const ENTRY_BYTES: u64 = 400;

#[derive(Debug)]
pub(crate) struct AtomCache {
    entries: Cache<CacheKey, Cached, ByBytes>,
    /// For each slot the LSN of the last commit that changed a key in it.
    changed: Box<[AtomicU64]>,
    /// Everything read before this LSN is out of date.
    floor: AtomicU64,
}

/// A descriptor and when it was known to be current.
#[derive(Clone, Debug)]
struct Cached {
    atom: Arc<Atom>,
    as_of: u64,
    slot: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CacheKey(u32, Key);

struct BorrowedKey<'a>(u32, KeyRef<'a>);

/// Hashes owned and borrowed keys alike.
fn hash_key<H: Hasher>(namespace: u32, key: KeyRef<'_>, state: &mut H) {
    namespace.hash(state);
    key.hash(state);
}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_key(self.0, self.1.as_ref(), state);
    }
}

impl Hash for BorrowedKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_key(self.0, self.1, state);
    }
}

impl Equivalent<CacheKey> for BorrowedKey<'_> {
    fn equivalent(&self, key: &CacheKey) -> bool {
        self.0 == key.0 && self.1 == key.1.as_ref()
    }
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<CacheKey, Cached> for ByBytes {
    fn weight(&self, _key: &CacheKey, value: &Cached) -> u64 {
        ENTRY_BYTES + value.atom.weight_bytes()
    }
}

/// The slot of a key: FNV-1a, because it has to be the same for every caller and is not worth more.
fn slot_of(namespace: u32, key: KeyRef<'_>) -> usize {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hash_key(namespace, key, &mut hasher);
    let hash = hasher.finish();
    ((hash >> 32) ^ hash) as usize % SLOTS
}

impl AtomCache {
    /// A cache of about this many bytes.
    pub(crate) fn new(budget_bytes: u64) -> Self {
        let budget_bytes = budget_bytes.min(1 << 48); // no machine has more, and sums of weights stay far from overflow
        let expected = usize::try_from(budget_bytes / ENTRY_BYTES).unwrap_or(0).clamp(16, 1 << 20);
        AtomCache {
            entries: Cache::with_weighter(expected, budget_bytes, ByBytes),
            changed: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            floor: AtomicU64::new(0),
        }
    }

    /// The version of a key that is valid at `lsn` (`u64::MAX`: now), if it is known here.
    #[inline]
    pub(crate) fn get(&self, namespace: u32, key: KeyRef<'_>, lsn: u64) -> Option<Arc<Atom>> {
        let cached = self.entries.get(&BorrowedKey(namespace, key))?;
        let floor = self.floor.load(Ordering::Acquire);
        if cached.as_of < floor {
            return None;
        }
        let still_current = cached.as_of >= self.changed[cached.slot].load(Ordering::Acquire);
        // For an older snapshot it is enough that the version was made before it and was still current at it.
        let valid = cached.atom.info.lsn <= lsn && (still_current || cached.as_of >= lsn);
        (valid && !cached.atom.is_damaged()).then_some(cached.atom)
    }

    /// Lets go of everything, and so of the files behind it that nobody else uses.
    pub(crate) fn clear(&self) {
        self.entries.clear();
    }

    /// Remembers what was the current version of a key when the catalog stood at `as_of`.
    pub(crate) fn insert(&self, namespace: u32, atom: Arc<Atom>, as_of: u64) {
        let slot = slot_of(namespace, atom.info.key.as_ref());
        let key = CacheKey(namespace, atom.info.key.clone());
        self.entries.insert(key, Cached { atom, as_of, slot });
    }

    /// A commit changed this key. To be called before anybody may expect to see the commit.
    pub(crate) fn bump(&self, namespace: u32, key: KeyRef<'_>, lsn: u64) {
        self.changed[slot_of(namespace, key)].fetch_max(lsn, Ordering::AcqRel);
    }

    /// So many keys changed that everything read before `lsn` is forgotten.
    pub(crate) fn bump_all(&self, lsn: u64) {
        self.floor.fetch_max(lsn, Ordering::AcqRel);
    }
}

//! What was read before: descriptors by key, each valid as long as no commit touched its key since.
//! A commit bumps the key's slot in a table of LSNs, so that an answer that was read before the commit and arrives in
//! the cache after it is never taken for current.
//!
//! What threads read again and again they read from a front of their own, because a counter that two processors write
//! to in turn costs more than everything else in a repeated read.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use crate::key::{Key, KeyRef};

use super::atom::Atom;

/// Slots of the change table: 512 KiB. Two keys in one slot cost a needless look into the catalog, nothing else.
const SLOTS: usize = 1 << 16;
/// Rough size of a cached descriptor without its text.
const ENTRY_BYTES: u64 = 540;
/// Fronts, at most; threads beyond that share.
const FRONTS_MAX: usize = 16;
/// The part of the budget that goes to all fronts together: one in so many bytes.
const FRONTS_SHARE: u64 = 4;

#[derive(Debug)]
pub(crate) struct AtomCache {
    entries: Entries,
    /// One per processor; none where there is one processor only.
    fronts: Box<[Entries]>,
    /// For each slot the LSN of the last commit that changed a key in it.
    changed: Box<[AtomicU64]>,
    /// Everything read before this LSN is out of date.
    floor: AtomicU64,
}

type Entries = Cache<CacheKey, Cached, ByBytes>;

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

fn entries(budget_bytes: u64, shards: usize) -> Entries {
    let expected = usize::try_from(budget_bytes / ENTRY_BYTES).unwrap_or(0).clamp(16, 1 << 20);
    let mut options = OptionsBuilder::new();
    options.shards(shards).estimated_items_capacity(expected).weight_capacity(budget_bytes);
    match options.build() {
        Ok(options) => {
            Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        // Only for options left out, which are not.
        Err(_) => Cache::with_weighter(expected, budget_bytes, ByBytes),
    }
}

/// Asked once: the answer takes the system a dozen calls.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// A small number that tells the calling thread from others.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

impl AtomCache {
    /// A cache of about this many bytes.
    pub(crate) fn new(budget_bytes: u64) -> Self {
        let budget_bytes = budget_bytes.min(1 << 48); // no machine has more, and sums of weights stay far from overflow
        let processors = processors();
        let front_count = if processors > 1 { processors.min(FRONTS_MAX) } else { 0 };
        let fronts_bytes = if front_count > 0 { budget_bytes / FRONTS_SHARE } else { 0 };
        let front_bytes = fronts_bytes / front_count.max(1) as u64;
        AtomCache {
            entries: entries(budget_bytes - fronts_bytes, processors * 4),
            fronts: (0..front_count).map(|_| entries(front_bytes, 1)).collect(),
            changed: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            floor: AtomicU64::new(0),
        }
    }

    /// The version of a key that is valid at `lsn` (`u64::MAX`: now), if it is known here.
    #[inline]
    pub(crate) fn get(&self, namespace: u32, key: KeyRef<'_>, lsn: u64) -> Option<Arc<Atom>> {
        let front = self.fronts.get(thread_number() % self.fronts.len().max(1));
        let known = front.and_then(|front| front.get(&BorrowedKey(namespace, key)));
        match known.filter(|cached| self.is_valid(cached, lsn)) {
            Some(cached) => Some(cached.atom),
            None => self.get_behind(front, namespace, key, lsn),
        }
    }

    /// From what all threads share; kept in the front from now on.
    fn get_behind(&self, front: Option<&Entries>, namespace: u32, key: KeyRef<'_>, lsn: u64) -> Option<Arc<Atom>> {
        let cached = self.entries.get(&BorrowedKey(namespace, key)).filter(|cached| self.is_valid(cached, lsn))?;
        let Some(front) = front else { return Some(cached.atom) };
        let own = Cached { atom: Arc::new(cached.atom.counted_apart()), ..cached };
        front.insert(CacheKey(namespace, key.to_key()), own.clone());
        Some(own.atom)
    }

    #[inline]
    fn is_valid(&self, cached: &Cached, lsn: u64) -> bool {
        let still_current = cached.as_of >= self.changed[cached.slot].load(Ordering::Acquire);
        // For an older snapshot it is enough that the version was made before it and was still current at it.
        let valid = cached.atom.info.lsn <= lsn && (still_current || cached.as_of >= lsn);
        valid && cached.as_of >= self.floor.load(Ordering::Acquire) && !cached.atom.is_damaged()
    }

    /// Lets go of everything, and so of the files behind it that nobody else uses.
    pub(crate) fn clear(&self) {
        self.entries.clear();
        self.fronts.iter().for_each(Entries::clear);
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

//! The store: the interface of the library, and the protocols that tie segments and catalog together.

mod adopt;
mod atom;
mod cache;
mod changes;
mod cold;
mod commit;
mod delta;
mod gc;
mod history;
mod hot;
mod identity;
mod namespace;
mod open;
mod options;
mod policy;
mod recover;
mod registry;
mod relocate;
mod repair;
mod report;
mod segments;
mod snapshot;
mod staging;
mod stat;
mod tier;
mod txn;
mod usage;
mod vectors;
mod verify;
mod within;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::catalog::{Catalog, CommitId, Found, QueryResult, View, Watch};
use crate::control::Control;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{File, ForkGuard, Volume};
use crate::tensor::Tensor;

pub use atom::{AtomInfo, Payload};
pub use changes::{Change, Changes};
pub use delta::MoveOptions;
pub use gc::{GcOptions, GcReport};
pub use namespace::Namespace;
pub use options::{Durability, Options, ReadMode};
pub use policy::{ApplyReport, MaintainReport};
#[cfg(any(test, feature = "testing"))]
pub(crate) use relocate::relocate;
pub use relocate::{ColdReport, set_cold_directory};
#[cfg(any(test, feature = "testing"))]
pub(crate) use repair::repair_volume;
pub use repair::{RepairOptions, RepairReport, repair};
pub use snapshot::{Address, AsOf, Atoms, ListOptions, Snapshot};
pub use staging::Expect;
pub use stat::{Accounted, CodecStat, ColdStat, Holder, Stat, TierStat};
pub use tier::MoveReport;
pub use txn::{PutOptions, WriteTxn};
pub use vectors::{CompactOptions, Companions, Matrix, VectorSet, VectorSetInfo, VectorSnapshot, VectorWriter};
pub use verify::{Damage, VerifyOptions, VerifyReport};
pub use writer::PayloadWriter;

use atom::Atom;
use cache::AtomCache;
use commit::CommitQueue;
use history::History;
use hot::Prefetch;
use identity::StoreIdentity;
use policy::KnownPins;
use segments::Segments;

/// Keys that are invalidated one by one after foreign commits; more, and everything is.
const CHANGED_KEYS_MAX: usize = 4096;

/// An open store. Cheap to clone; may be used from any number of threads at once.
///
/// In one process a directory is opened once: later opens share it. Other processes may have it open as well. The last
/// handle to go closes the store; see [`Store::close`] for closing with an answer.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<StoreInner>,
    durability: Durability,
    read_mode: ReadMode,
}

/// What all handles of a process on one store share. Fields drop in this order.
#[derive(Debug)]
pub(crate) struct StoreInner {
    queue: CommitQueue,
    cache: Arc<AtomCache>,
    /// The header of the catalog's log as it was when the cache was last brought up to date.
    seen: AtomicU64,
    lsn: AtomicU64,
    /// Name of the commit `lsn`. Held while the cache is brought up to date.
    known: Mutex<CommitId>,
    history: Arc<History>,
    /// Condemned segments as counted when this process last let go of them.
    condemnations: AtomicU64,
    watch: Watch,
    /// What is hot.
    pins: RwLock<KnownPins>,
    /// The thread that reads what is hot, until the store is closed.
    prefetch: Mutex<Option<Prefetch>>,
    segments: Arc<Segments>,
    catalog: Arc<Catalog>,
    identity: StoreIdentity,
    volume: Arc<dyn Volume>,
    fork: Arc<ForkGuard>,
    /// Held shared as long as the store is open.
    _presence: Option<Arc<dyn File>>,
    path: Option<PathBuf>,
    read_only: bool,
    lock_timeout: Duration,
    poisoned: OnceLock<&'static str>,
    ballast: AtomicBool,
}

impl StoreInner {
    /// Fails in a forked child.
    #[inline]
    fn check_usable(&self) -> Result<()> {
        self.fork.check()
    }

    /// Fails where writing is refused: forked, read-only, poisoned.
    fn check_writable(&self) -> Result<()> {
        self.check_usable()?;
        if self.read_only {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading only"));
        }
        match self.poisoned.get() {
            Some(why) => Err(Error::new(ErrorKind::Poisoned, *why).hint("close all handles and open the store again")),
            None => Ok(()),
        }
    }

    /// Stops this handle from writing until the store is opened anew.
    fn poison(&self, why: &'static str) {
        tracing::error!(why, "the store handle no longer writes");
        let _ = self.poisoned.set(why);
    }

    /// The newest commit, of whatever process.
    fn current_lsn(&self) -> Result<u64> {
        self.check_usable()?;
        self.bring_up_to_date()?;
        Ok(self.lsn.load(Ordering::Acquire))
    }

    /// Makes the cache forget what other commits changed. Costs a few loads when there were none.
    #[inline]
    fn bring_up_to_date(&self) -> Result<()> {
        if self.watch.stamp() == self.seen.load(Ordering::Acquire) { Ok(()) } else { self.refresh() }
    }

    #[cold]
    fn refresh(&self) -> Result<()> {
        let mut known_id = self.known.lock();
        // Taken before the catalog is read: a commit in between changes it again, and the next call looks again.
        let stamp = self.watch.stamp();
        if stamp == self.seen.load(Ordering::Acquire) {
            return Ok(());
        }
        let known = self.lsn.load(Ordering::Acquire);
        let reader = self.catalog.read()?;
        reader.consistently(|view| {
            let head = view.head()?;
            let newest = head.lsn;
            if view.commit_id(known)?.unwrap_or_default() != *known_id {
                // Commits were taken back under us, and others may have their numbers: trust nothing read before.
                self.cache.bump_all(known + 1);
                self.cache.clear();
            } else if newest > known {
                let keys = view.changed_keys(known, newest, CHANGED_KEYS_MAX)?;
                if keys.len() == CHANGED_KEYS_MAX {
                    self.cache.bump_all(newest);
                }
                for (namespace, key) in &keys {
                    self.cache.bump(*namespace, key.as_ref(), newest);
                }
            }
            self.learn_reclaimed(view)?;
            self.refresh_pins(view)?;
            self.lsn.store(newest, Ordering::Release);
            *known_id = head.commit_id;
            Ok(())
        })?;
        self.seen.store(stamp, Ordering::Release);
        Ok(())
    }

    /// Learns what was forgotten, and lets go of segments that somebody is waiting to delete.
    fn learn_reclaimed(&self, view: View<'_>) -> Result<()> {
        let reclaimed = view.reclaimed()?;
        self.history.learn(reclaimed.forgotten);
        if self.condemnations.swap(reclaimed.condemnations, Ordering::AcqRel) != reclaimed.condemnations {
            self.segments.let_go(&view.condemned()?);
        }
        Ok(())
    }

    /// Learns what is pinned now. Descriptors say whether an atom is hot, so they are read again when that changes.
    fn refresh_pins(&self, view: View<'_>) -> Result<()> {
        if self.pins.read().is_out_of_date(view)? {
            let pins = KnownPins::read(view)?;
            let is_same = self.pins.read().is_same(&pins);
            *self.pins.write() = pins;
            if !is_same {
                self.cache.clear();
            }
        }
        Ok(())
    }

    /// Fails with `Forgotten` when an older moment cannot be looked at any more. To be asked after what it is about was
    /// read: whatever another process forgets later does not matter then.
    fn check_moment(&self, lsn: u64) -> Result<()> {
        self.bring_up_to_date()?;
        self.history.check(lsn)
    }

    /// The current version of a key.
    #[inline]
    fn atom(&self, address: Address<'_>) -> Result<Option<Arc<Atom>>> {
        self.check_usable()?;
        self.bring_up_to_date()?;
        match self.cache.get(address.namespace, address.key, u64::MAX) {
            Some(atom) => Ok(Some(atom)),
            None => self.look_up(address, u64::MAX),
        }
    }

    /// The version of a key at an earlier commit. Fails with `Forgotten` where it may have had one that was given up.
    fn atom_at(&self, address: Address<'_>, lsn: u64) -> Result<Option<Arc<Atom>>> {
        self.check_usable()?;
        self.bring_up_to_date()?;
        if let Some(atom) = self.cache.get(address.namespace, address.key, lsn) {
            return Ok(Some(atom));
        }
        let atom = self.look_up(address, lsn)?;
        if atom.is_none() {
            // A version that is found says itself from when to when it was there; only its absence says nothing.
            self.check_moment(lsn)?;
        }
        Ok(atom)
    }

    fn look_up(&self, address: Address<'_>, lsn: u64) -> Result<Option<Arc<Atom>>> {
        address.key.check()?;
        let lsn = lsn.min(crate::catalog::LATEST);
        // Before the catalog is read: it may show a newer state, and then the answer is only forgotten early.
        let as_of = self.lsn.load(Ordering::Acquire);
        let found = self.catalog.read()?.view()?.version(address.namespace, address.key, lsn)?;
        let Some(Found { version, copy }) = found else { return Ok(None) };
        let is_current = version.lsn_to.is_none();
        let tier = copy.as_ref().map(|copy| self.pins.read().tier(address.namespace, address.key, copy.tier));
        let atom = Arc::new(Atom::new(version, copy, tier, Arc::clone(&self.segments)));
        if is_current {
            self.cache.insert(address.namespace, Arc::clone(&atom), as_of);
        }
        Ok(Some(atom))
    }

    /// Frees the space that is kept for deleting on a full disk. False when it is not there.
    fn release_ballast(&self) -> bool {
        self.ballast.swap(false, Ordering::AcqRel) && self.volume.remove(crate::format::names::BALLAST).is_ok()
    }
}

impl Store {
    /// Opens a store, which must exist.
    ///
    /// Blocks while another process creates or recovers it. After a crash this is where the log is rolled forward; what
    /// was acknowledged is there. Fails with `NotAStore`, `NewerFormat`, `NetworkFileSystem` (for writing),
    /// `CatalogCorrupt`, `PermissionDenied`, `Busy`, `Io`.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Store> {
        open::open_path(path.as_ref(), options, open::Missing::Fail)
            .map_err(|e| e.during("open").at_path(path.as_ref()))
    }

    /// Opens a store, creating it first if the directory is missing or empty.
    pub fn open_or_create(path: impl AsRef<Path>, options: &Options) -> Result<Store> {
        open::open_path(path.as_ref(), options, open::Missing::Create)
            .map_err(|e| e.during("open").at_path(path.as_ref()))
    }

    /// Creates a store. Fails with `AlreadyExists` when there is one, `NotAStore` when the directory holds other things.
    pub fn create(path: impl AsRef<Path>, options: &Options) -> Result<Store> {
        open::open_path(path.as_ref(), options, open::Missing::Demand)
            .map_err(|e| e.during("create").at_path(path.as_ref()))
    }

    /// Opens a store on any volume, not shared with other opens. For tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_on(volume: Arc<dyn Volume>, options: &Options, create: bool) -> Result<Store> {
        let missing = if create { open::Missing::Create } else { open::Missing::Fail };
        open::open_volume(volume, options, missing, None).map_err(|e| e.during("open"))
    }

    /// Starts a transaction.
    pub fn begin(&self) -> Result<WriteTxn> {
        self.inner.check_writable().map_err(|e| e.during("begin"))?;
        let lsn = self.inner.current_lsn().map_err(|e| e.during("begin"))?;
        Ok(WriteTxn::new(self.clone(), lsn))
    }

    /// Stores one tensor in a transaction of its own. Returns the LSN.
    pub fn put<'k>(&self, key: impl Into<Address<'k>>, tensor: &Tensor<'_>) -> Result<u64> {
        self.put_with(key, tensor, &PutOptions::default())
    }

    /// As [`Store::put`], with metadata, a condition, parents.
    pub fn put_with<'k>(&self, key: impl Into<Address<'k>>, tensor: &Tensor<'_>, options: &PutOptions) -> Result<u64> {
        let mut txn = self.begin()?;
        txn.put_with(key, tensor, options)?;
        txn.commit()
    }

    /// Deletes one key in a transaction of its own. Returns whether it existed.
    pub fn delete<'k>(&self, key: impl Into<Address<'k>>) -> Result<bool> {
        let mut txn = self.begin()?;
        let existed = txn.delete(key)?;
        if existed {
            txn.commit()?;
        }
        Ok(existed)
    }

    /// Runs one `SELECT` over the public views (`atoms`, `versions`, `payloads`, `segments`, `commits`, `changes`,
    /// `lineages`, `manifests`, `vector_sets`, `vector_parts`); see `FORMAT.md` for their columns. Fails with `InvalidArgument` for anything else, or
    /// for more than `row_limit` rows.
    pub fn query(&self, sql: &str, row_limit: usize) -> Result<QueryResult> {
        self.query_within(sql, row_limit, &Control::new())
    }

    /// Random number that names this store, as 32 hexadecimal digits.
    pub fn uuid(&self) -> String {
        self.inner.identity.uuid_text()
    }

    /// When the store was created, microseconds since the Unix epoch.
    pub fn created_us(&self) -> u64 {
        self.inner.identity.created_us
    }

    /// Capacity of its segments in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.inner.identity.segment_bytes
    }

    /// Its chunk size in bytes.
    pub fn chunk_bytes(&self) -> u32 {
        self.inner.identity.chunk_bytes
    }

    /// The directory it was opened from.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// Whether this handle refuses changes.
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// The newest commit, 0 for none.
    pub fn lsn(&self) -> Result<u64> {
        self.inner.current_lsn()
    }

    /// Gives this handle up. The store is closed with its last handle; payloads and their bytes stay valid.
    pub fn close(self) {}

    /// Whether two handles are on the same open store.
    pub fn is_same(&self, other: &Store) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

//! Creating and opening a store, so that any number of processes may try at once and any of them may die at any step.
//! `store.json` is written last: a directory without it is not a store, whatever else it holds.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::catalog::{Catalog, Watch, remove_files};
use crate::control::deadline;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::{File, ForkGuard, LockMode, Medium, Open, OsVolume, Volume};
use crate::format::names;

use super::cache::AtomCache;
use super::cold::{self, Sites};
use super::hot::Prefetch;
use super::identity::StoreIdentity;
use super::options::Options;
use super::policy::KnownPins;
use super::segments::Segments;
use super::{ReadMode, Store, StoreInner, recover, registry};

/// Byte of the lock file held while a store is created, recovered or repaired.
const EXCLUSIVE_WORK: Range<u64> = 0..1;
/// Byte of the lock file held shared by every process that has the store open.
const PRESENCE: Range<u64> = 1..2;
/// Space kept so that deleting works on a full disk.
const BALLAST_BYTES: u64 = 1 << 20;

/// What to do when there is no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Fail,
    Create,
    /// Create, and fail if there is one.
    Demand,
}

pub(super) fn open_path(path: &Path, options: &Options, missing: Missing) -> Result<Store> {
    options.check()?;
    let opened = match missing {
        Missing::Fail => OsVolume::open(path),
        Missing::Create | Missing::Demand => OsVolume::create(path),
    };
    let volume = opened.map_err(no_directory)?;
    if missing == Missing::Demand && StoreIdentity::read(&volume)?.is_some() {
        return Err(already_exists());
    }
    let volume: Arc<dyn Volume> = Arc::new(volume);
    let identity = volume.identity();
    let inner = registry::share(identity, options.read_only, || open_inner(volume, options, missing, Some(path)))?;
    handle(inner, options)
}

#[cfg(any(test, feature = "testing"))]
pub(super) fn open_volume(
    volume: Arc<dyn Volume>,
    options: &Options,
    missing: Missing,
    path: Option<&Path>,
) -> Result<Store> {
    options.check()?;
    handle(open_inner(volume, options, missing, path)?, options)
}

fn handle(inner: Arc<StoreInner>, options: &Options) -> Result<Store> {
    if let Some(path) = &options.cold_directory {
        inner.segments.sites().check_is(path)?;
    }
    let network = matches!(inner.volume.medium(), Ok(Medium::Network(_)));
    let read_mode = if network { ReadMode::Positioned } else { options.read_mode };
    Ok(Store { inner, durability: options.durability, read_mode })
}

/// Why a directory could not be opened.
pub(super) fn no_directory(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => not_a_store("there is no such directory"),
        io::ErrorKind::NotADirectory => not_a_store("the path is not a directory"),
        _ => Error::io("opening the directory", error),
    }
}

pub(super) fn not_a_store(what: &str) -> Error {
    Error::new(ErrorKind::NotAStore, what).hint("create a store there first, or check the path")
}

fn already_exists() -> Error {
    Error::new(ErrorKind::AlreadyExists, "there is a store already")
}

/// The lock file of a store, with what this process holds of it.
pub(super) struct Gate {
    file: Option<Arc<dyn File>>,
    timeout: Duration,
}

impl Gate {
    /// Opens the lock file, creating it if it may.
    pub(super) fn open(volume: &dyn Volume, read_only: bool, timeout: Duration) -> Result<Self> {
        let file = if volume.is_read_only() {
            volume.open(names::LOCK, Open::Read).ok() // where nobody can write, nothing needs a lock
        } else if read_only {
            Some(volume.open(names::LOCK, Open::Read).doing("opening the lock file")?)
        } else {
            Some(volume.open(names::LOCK, Open::Create).doing("opening the lock file")?)
        };
        Ok(Gate { file, timeout })
    }

    /// Waits until no other process creates, recovers or repairs the store.
    pub(super) fn enter(&self, mode: LockMode) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let deadline = deadline(self.timeout);
        let mut pause = Duration::from_micros(200);
        while !file.try_lock(EXCLUSIVE_WORK, mode).doing("locking the store")? {
            if Instant::now() >= deadline {
                return Err(Error::new(
                    ErrorKind::Busy,
                    "another process is creating, recovering or repairing the store",
                )
                .hint("wait for it and try again"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Takes the store for this process alone. Fails with `Busy` while anybody, this process included, has it open.
    pub(super) fn alone(volume: &dyn Volume, timeout: Duration) -> Result<Self> {
        let gate = Self::open(volume, false, timeout)?;
        gate.enter(LockMode::Exclusive)?;
        if gate.is_alone()? {
            return Ok(gate);
        }
        Err(Error::new(ErrorKind::Busy, "the store is open in this or another process")
            .hint("close it everywhere and try again"))
    }

    /// True when no other process has the store open; none can open it then until this one leaves.
    pub(super) fn is_alone(&self) -> Result<bool> {
        match &self.file {
            Some(file) => file.try_lock(PRESENCE, LockMode::Exclusive).doing("locking the store"),
            None => Ok(false),
        }
    }

    /// Lets others in and stays present. Returns the handle that keeps the presence.
    pub(super) fn stay(self) -> Result<Option<Arc<dyn File>>> {
        if let Some(file) = &self.file {
            if !file.try_lock(PRESENCE, LockMode::Shared).doing("locking the store")? {
                return Err(Error::new(ErrorKind::Busy, "the store is being repaired").hint("try again afterwards"));
            }
            file.unlock(EXCLUSIVE_WORK).doing("unlocking the store")?;
        }
        Ok(self.file)
    }
}

fn open_inner(
    volume: Arc<dyn Volume>,
    options: &Options,
    missing: Missing,
    path: Option<&Path>,
) -> Result<Arc<StoreInner>> {
    check_medium(&*volume, options.read_only)?;
    let identity = match StoreIdentity::read(&*volume)? {
        Some(_) if missing == Missing::Demand => return Err(already_exists()),
        Some(identity) => identity,
        None if missing == Missing::Fail => return Err(why_no_store(&*volume)),
        None if options.read_only => return Err(not_a_store("nothing is created through a read-only handle")),
        None => create(&volume, options, missing)?,
    };
    let fork = Arc::new(ForkGuard::new().doing("setting up the fork guard")?);
    let read_only = options.read_only || volume.is_read_only();
    let gate = Gate::open(&*volume, read_only, options.lock_timeout)?;
    gate.enter(if read_only { LockMode::Shared } else { LockMode::Exclusive })?;
    let alone = !read_only && gate.is_alone()?;
    let catalog = Catalog::open(Arc::clone(&volume), Arc::clone(&fork), names::CATALOG, identity.uuid, read_only)?;
    let catalog = Arc::new(catalog);
    let cache = Arc::new(AtomCache::new(options.cache_bytes));
    let sites = Sites::read(&volume, identity.uuid, || catalog.read()?.view()?.has_cold_segments())?;
    let segments = Segments::new(Arc::clone(&volume), sites, Arc::clone(&fork), &identity, options, &cache, &catalog);
    let segments = Arc::new(segments);
    if alone {
        recover::recover(&volume, segments.sites(), &catalog, &identity, options.lock_timeout)?;
    } else if !read_only {
        // Only readers can have come before us since the power was cut: they recover nothing.
        recover::take_back_after_power_cut(&volume, segments.sites(), &catalog, options.lock_timeout)?;
    }
    // Views are for queries alone: a full disk or a busy catalog keeps nobody from the store.
    if !read_only && let Err(error) = catalog.renew_views(options.lock_timeout) {
        tracing::warn!(%error, "the public views are those of an earlier version");
    }
    // A first read attaches to the shared memory that the watch looks at.
    let (head, pins) = catalog.read()?.consistently(|view| Ok((view.head()?, KnownPins::read(view)?)))?;
    let watch = Watch::new(&volume)?;
    let ballast = !read_only && keep_ballast(&*volume);
    let inner = Arc::new(StoreInner {
        queue: super::CommitQueue::default(),
        cache,
        // Not a stamp: the first call compares for real. Commits since `head` was read are found then.
        seen: AtomicU64::new(watch.stamp().wrapping_add(1)),
        lsn: AtomicU64::new(head.lsn),
        known: Mutex::new(head.commit_id),
        history: Arc::default(),
        condemnations: AtomicU64::new(0),
        watch,
        pins: RwLock::new(pins),
        prefetch: Mutex::default(),
        segments,
        catalog,
        identity,
        volume,
        fork,
        _presence: gate.stay()?,
        path: path.map(Path::to_owned),
        read_only,
        lock_timeout: options.lock_timeout,
        poisoned: OnceLock::new(),
        ballast: AtomicBool::new(ballast),
    });
    *inner.prefetch.lock() = Prefetch::start(&inner, options);
    Ok(inner)
}

pub(super) fn check_medium(volume: &dyn Volume, read_only: bool) -> Result<()> {
    if read_only {
        return Ok(());
    }
    if let Medium::Network(name) = volume.medium().doing("asking for the file system")? {
        let what = format!("the directory lies on {name}, where locks and shared memory cannot be trusted");
        return Err(
            Error::new(ErrorKind::NetworkFileSystem, what).hint("use a local disk, or open the store for reading only")
        );
    }
    if volume.is_world_writable().doing("asking for permissions")? {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "every user of this machine may replace files of the store",
        )
        .hint("take the write permission from others: chmod o-w"));
    }
    Ok(())
}

/// What is in a directory that has no `store.json`.
fn why_no_store(volume: &dyn Volume) -> Error {
    match volume.exists(names::CATALOG) {
        Ok(true) => Error::new(ErrorKind::NotAStore, "the creation of this store was not finished")
            .hint("create it again, which completes it"),
        _ => not_a_store("the directory holds no store"),
    }
}

/// Creates a store, or finds that another process was faster.
fn create(volume: &Arc<dyn Volume>, options: &Options, missing: Missing) -> Result<StoreIdentity> {
    if volume.is_read_only() {
        return Err(Error::new(ErrorKind::ReadOnly, "the directory cannot be written to"));
    }
    check_directory(&**volume, options)?;
    let gate = Gate::open(&**volume, false, options.lock_timeout)?;
    gate.enter(LockMode::Exclusive)?;
    if let Some(identity) = StoreIdentity::read(&**volume)? {
        return if missing == Missing::Demand { Err(already_exists()) } else { Ok(identity) };
    }
    remove_files(&**volume, names::CATALOG)?; // of a creation that died half-way
    let identity = StoreIdentity::draw(&**volume, options)?;
    volume.create_dir(names::SEGMENTS).doing("creating the segment directory")?;
    match &options.cold_directory {
        Some(path) => cold::take_into_use(volume, identity.uuid, path)?,
        None => forget_cold(&**volume)?,
    }
    let fork = Arc::new(ForkGuard::new().doing("setting up the fork guard")?);
    Catalog::create(Arc::clone(volume), fork, names::CATALOG, identity.uuid)?;
    volume.sync_dir("").doing("syncing the store directory")?;
    identity.write(&**volume)?;
    Ok(identity)
}

/// Removes what a creation that died half-way wanted.
fn forget_cold(volume: &dyn Volume) -> Result<()> {
    match volume.remove(names::COLD) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("removing an unfinished file", e)),
        _ => Ok(()),
    }
}

/// Refuses to make a store among other people's files.
fn check_directory(volume: &dyn Volume, options: &Options) -> Result<()> {
    let cold = options.cold_directory.as_deref().and_then(|path| path.components().next());
    let ours = |name: &str| {
        cold.is_some_and(|first| first.as_os_str() == name)
            || [names::COLD, names::COLD_TEMPORARY].contains(&name)
            || [names::LOCK, names::STORE_TEMPORARY, names::SEGMENTS, names::BALLAST, "lost+found"].contains(&name)
            || name.starts_with(names::CATALOG)
    };
    let entries = volume.list("").doing("listing the directory")?;
    match entries.iter().find(|entry| !ours(&entry.name)) {
        None => Ok(()),
        Some(_) => Err(not_a_store("the directory holds other files; a new store wants an empty one")),
    }
}

/// Reserves the space for deleting on a full disk. Best effort: a store without it works until the disk is full.
fn keep_ballast(volume: &dyn Volume) -> bool {
    let keep = || -> io::Result<()> {
        let file = volume.open(names::BALLAST, Open::Create)?;
        if file.len()? < BALLAST_BYTES {
            file.preallocate(0..BALLAST_BYTES)?;
        }
        Ok(())
    };
    let kept = keep().is_ok();
    if !kept {
        let _ = volume.remove(names::BALLAST); // a part of it helps nobody
    }
    kept
}

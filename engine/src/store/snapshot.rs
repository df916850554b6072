//! Reading: addresses of atoms, snapshots, listings.

use std::sync::Arc;

use crate::catalog::{LATEST, ManifestRow, Span, VersionRow};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Tier;
use crate::key::{Key, KeyRef};

use super::Store;
use super::atom::{Atom, AtomInfo, Payload};
use super::history::Hold;
use super::options::ReadMode;

/// Descriptors read from the catalog in one step of a long listing.
const LIST_PAGE: usize = 1024;

/// A key in a namespace. Plain keys convert into addresses in the default namespace;
/// [`Namespace::key`](crate::Namespace::key) makes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address<'k> {
    pub(crate) namespace: u32,
    pub(crate) key: KeyRef<'k>,
}

impl<'k, K: Into<KeyRef<'k>>> From<K> for Address<'k> {
    fn from(key: K) -> Self {
        Address { namespace: 0, key: key.into() }
    }
}

/// Which moment a snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsOf {
    /// After this commit.
    Lsn(u64),
    /// After the newest commit at or before this time, microseconds since the Unix epoch.
    Time(u64),
}

/// Which atoms a listing returns. Order is that of [`Key`]: integers, then names by their bytes.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    prefix: String,
    after: Option<Key>,
    limit: Option<usize>,
}

impl ListOptions {
    /// Everything in the default namespace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names that start with this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Keys behind this one: for the next page, the last key of the page before.
    #[must_use]
    pub fn after(mut self, key: impl Into<Key>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// The store at one moment. Does not change, whatever is committed; never blocks and is never blocked.
///
/// History it shows is not given up by [`Store::gc`] of this process. Another process does not know of it and gives up
/// what is older than it was told to keep: calls then fail with `Forgotten`, and never show less than there was.
#[derive(Clone, Debug)]
pub struct Snapshot {
    store: Store,
    lsn: u64,
    namespace: u32,
    _hold: Arc<Hold>,
}

impl Snapshot {
    pub(super) fn new(store: Store, lsn: u64) -> Self {
        let hold = store.inner.history.hold(lsn);
        Snapshot { store, lsn, namespace: 0, _hold: hold }
    }

    /// The newest commit this snapshot shows.
    pub fn lsn(&self) -> u64 {
        self.lsn
    }

    /// The same moment, with plain keys and listings meant in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &super::Namespace) -> Snapshot {
        Snapshot { namespace: namespace.id(), ..self.clone() }
    }

    /// The store this is a moment of.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn namespace(&self) -> u32 {
        self.namespace
    }

    /// Fails with `Forgotten` when another process gave up what this snapshot shows. To be asked after reading.
    pub(super) fn check_moment(&self) -> Result<()> {
        self.store.inner.check_moment(self.lsn)
    }

    pub(super) fn address<'k>(&self, key: impl Into<Address<'k>>) -> Address<'k> {
        let address = key.into();
        if address.namespace == 0 { Address { namespace: self.namespace, ..address } } else { address }
    }

    /// The payload of a key. Reads nothing of it yet. Fails with `NotFound`.
    pub fn get<'k>(&self, key: impl Into<Address<'k>>) -> Result<Payload> {
        let address = self.address(key);
        let atom = self.store.inner.atom_at(address, self.lsn).map_err(|e| e.during("get").key(address.key))?;
        let atom = atom.ok_or_else(|| not_found("get", address))?;
        Ok(Payload::stored(atom, self.store.read_mode))
    }

    /// The descriptor of a key. Fails with `NotFound`.
    pub fn info<'k>(&self, key: impl Into<Address<'k>>) -> Result<AtomInfo> {
        let address = self.address(key);
        let atom = self.store.inner.atom_at(address, self.lsn).map_err(|e| e.during("info").key(address.key))?;
        Ok(atom.ok_or_else(|| not_found("info", address))?.info.clone())
    }

    /// Whether a key exists.
    pub fn exists<'k>(&self, key: impl Into<Address<'k>>) -> Result<bool> {
        let address = self.address(key);
        Ok(self.store.inner.atom_at(address, self.lsn).map_err(|e| e.during("exists").key(address.key))?.is_some())
    }

    /// Descriptors in key order, read from the catalog a page at a time: for listings of any length, in bounded memory.
    /// An error ends the listing.
    pub fn iter(&self, options: &ListOptions) -> Atoms {
        let left = options.limit.unwrap_or(usize::MAX);
        Atoms { snapshot: self.clone(), options: options.clone(), page: Vec::new().into_iter(), left }
    }

    /// Descriptors in key order. Allocates them all; see [`Snapshot::iter`] where there may be many.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<AtomInfo>> {
        self.store.inner.check_usable()?;
        let span = Span {
            prefix: &options.prefix,
            after: options.after.as_ref().map(Key::as_ref),
            limit: options.limit.unwrap_or(usize::MAX),
        };
        let rows = self.store.inner.catalog.read()?.view()?.list(self.namespace, span, self.lsn.min(LATEST));
        let rows = rows.map_err(|e| e.during("list"))?;
        self.check_moment().map_err(|e| e.during("list"))?;
        let pins = self.store.inner.pins.read();
        let info = |(row, tier): (VersionRow, Option<Tier>)| {
            let tier = tier.map(|tier| pins.tier(self.namespace, row.key.as_ref(), tier));
            AtomInfo::new(row, tier)
        };
        Ok(rows.into_iter().map(info).collect())
    }
}

/// A listing in the making. Made by [`Snapshot::iter`].
#[derive(Debug)]
pub struct Atoms {
    snapshot: Snapshot,
    options: ListOptions,
    page: std::vec::IntoIter<AtomInfo>,
    /// Atoms still to be read; 0 at the end.
    left: usize,
}

impl Iterator for Atoms {
    type Item = Result<AtomInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && self.left > 0 {
            let wanted = self.left.min(LIST_PAGE);
            self.options.limit = Some(wanted);
            match self.snapshot.list(&self.options) {
                Err(e) => {
                    self.left = 0;
                    return Some(Err(e));
                }
                Ok(page) => {
                    self.left = if page.len() < wanted { 0 } else { self.left - wanted };
                    self.options.after = page.last().map(|info| info.key.clone());
                    self.page = page.into_iter();
                }
            }
        }
        self.page.next().map(Ok)
    }
}

impl std::iter::FusedIterator for Atoms {}

/// The layout of an imported file.
pub(crate) struct Manifest {
    /// File name without directory.
    pub(crate) name: String,
    /// The file's header as it was.
    pub(crate) header: Payload,
}

impl Snapshot {
    /// Current manifests of files of one format imported under exactly this prefix.
    pub(crate) fn manifests(&self, prefix: &str, format: &str) -> Result<Vec<Manifest>> {
        let inner = &self.store.inner;
        inner.check_usable()?;
        let rows = inner.catalog.read()?.view()?.manifests(self.namespace, prefix, self.lsn.min(LATEST))?;
        self.check_moment()?;
        let manifest = |row: ManifestRow| {
            let version = VersionRow::of_header(&row);
            let tier = Some(row.header.copy.tier);
            let atom = Atom::new(version, Some(row.header.copy), tier, Arc::clone(&inner.segments));
            Manifest { name: row.name, header: Payload::stored(Arc::new(atom), ReadMode::Positioned) }
        };
        Ok(rows.into_iter().filter(|row| row.format == format).map(manifest).collect())
    }
}

pub(super) fn not_found(operation: &'static str, address: Address<'_>) -> Error {
    Error::new(ErrorKind::NotFound, "no such atom").during(operation).key(address.key).hint("a listing shows the keys")
}

impl Store {
    /// The store as it is now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let lsn = self.inner.current_lsn().map_err(|e| e.during("snapshot"))?;
        Ok(Snapshot::new(self.clone(), lsn))
    }

    /// The store as it was. Fails with `NotFound` for a moment after the newest commit, `Forgotten` for one whose history
    /// was given up by [`Store::gc`].
    pub fn snapshot_at(&self, moment: AsOf) -> Result<Snapshot> {
        let newest = self.inner.current_lsn().map_err(|e| e.during("snapshot"))?;
        let lsn = match moment {
            AsOf::Lsn(lsn) if lsn > newest => {
                let what = format!("commit {lsn} is not there yet; the newest is {newest}");
                return Err(Error::new(ErrorKind::NotFound, what).during("snapshot"));
            }
            AsOf::Lsn(lsn) => lsn,
            AsOf::Time(time_us) => self.inner.catalog.read()?.view()?.lsn_at_time(time_us)?,
        };
        let snapshot = Snapshot::new(self.clone(), lsn);
        // Asked once the moment is held: from here on this process does not forget it.
        snapshot.check_moment().map_err(|e| e.during("snapshot"))?;
        Ok(snapshot)
    }

    /// Descriptors of the current atoms of the default namespace, in key order.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<AtomInfo>> {
        self.snapshot()?.list(options)
    }

    /// The current descriptor of a key. Fails with `NotFound`.
    pub fn info<'k>(&self, key: impl Into<Address<'k>>) -> Result<AtomInfo> {
        let address = key.into();
        let atom = self.inner.atom(address).map_err(|e| e.during("info").key(address.key))?;
        Ok(atom.ok_or_else(|| not_found("info", address))?.info.clone())
    }

    /// Whether a key exists now.
    pub fn exists<'k>(&self, key: impl Into<Address<'k>>) -> Result<bool> {
        let address = key.into();
        Ok(self.inner.atom(address).map_err(|e| e.during("exists").key(address.key))?.is_some())
    }

    /// The current payload of a key. Reads nothing of it yet; one already known costs no system call. Fails with
    /// `NotFound`, or with `CatalogCorrupt` when the catalog is damaged.
    #[inline]
    pub fn get<'k>(&self, key: impl Into<Address<'k>>) -> Result<Payload> {
        let address = key.into();
        match self.inner.atom(address) {
            Ok(Some(atom)) => Ok(Payload::stored(atom, self.read_mode)),
            Ok(None) => Err(not_found("get", address)),
            Err(e) => Err(e.during("get").key(address.key)),
        }
    }
}

//! Vector sets: named sets of vectors of one dimension under `i64` ids, stored as payloads in the store's transactions,
//! searched exactly.

mod matrix;
mod plan;
mod staged;
mod view;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::bytes::Bytes;
use crate::catalog::{LATEST, VectorSetRow};
use crate::control::Control;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Metric, Rows};
use crate::search::{Neighbor, SearchOptions};

use super::snapshot::{Address, Snapshot};
use super::{Namespace, Store};

pub use matrix::Matrix;
pub(crate) use plan::plan_vectors;
pub use staged::VectorWriter;
pub(crate) use staged::{SetName, StagedSet};
pub use view::VectorSnapshot;

use staged::{check_spec, not_found, set_name};

/// How often a call that runs a transaction of its own starts anew after a conflict.
const ATTEMPTS: usize = 16;

/// When appended vectors get a companion: int8 codes with error bounds, from which exact searches read a quarter of
/// the bytes or less. It takes `dim` + 16 bytes per vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Companions {
    /// Where it has fewer bytes than the vectors (f64, f32, f16, bf16), for parts of 1,024 rows and more.
    #[default]
    Auto,
    /// For parts of any size, where it has fewer bytes.
    Always,
    /// Not now; [`VectorSet::build_companions`] makes them later.
    Never,
}

/// Which parts a compaction puts together.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    pub(crate) dead_fraction: f64,
    pub(crate) small_rows: u64,
    pub(crate) part_bytes_max: u64,
}

impl CompactOptions {
    /// Default share of deleted rows: a fifth.
    pub const DEAD_FRACTION: f64 = 0.2;
    /// Default of what counts as a small part: 16,384 rows.
    pub const SMALL_ROWS: u64 = 16_384;
    /// Default size of a new part: 256 MiB.
    pub const PART_BYTES_MAX: u64 = 256 << 20;

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parts of which at least this share of rows is deleted are rewritten. 0: every part with a deleted row; more than
    /// 1: none. Default [`CompactOptions::DEAD_FRACTION`].
    #[must_use]
    pub fn dead_fraction(mut self, fraction: f64) -> Self {
        self.dead_fraction = fraction;
        self
    }

    /// Parts of fewer rows are put together. Default [`CompactOptions::SMALL_ROWS`].
    #[must_use]
    pub fn small_rows(mut self, rows: u64) -> Self {
        self.small_rows = rows;
        self
    }

    /// New parts have at most so many bytes of vectors, which is also the memory a compaction takes. Default
    /// [`CompactOptions::PART_BYTES_MAX`].
    #[must_use]
    pub fn part_bytes_max(mut self, bytes: u64) -> Self {
        self.part_bytes_max = bytes;
        self
    }
}

impl Default for CompactOptions {
    fn default() -> Self {
        CompactOptions {
            dead_fraction: Self::DEAD_FRACTION,
            small_rows: Self::SMALL_ROWS,
            part_bytes_max: Self::PART_BYTES_MAX,
        }
    }
}

/// Facts and sums about a vector set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VectorSetInfo {
    /// Name inside the namespace.
    pub name: String,
    /// Elements per vector.
    pub dim: usize,
    /// Element type.
    pub dtype: DType,
    /// The metric searches use unless told otherwise.
    pub metric: Metric,
    /// Commit that created it.
    pub created_lsn: u64,
    /// Vectors, deleted ones not counted.
    pub vectors: u64,
    /// Parts.
    pub parts: u64,
    /// Rows of parts that are deleted; compaction frees them.
    pub deleted_rows: u64,
    /// Bytes of vectors, deleted ones included.
    pub vector_bytes: u64,
    /// Bytes of ids.
    pub id_bytes: u64,
    /// Bytes of companions.
    pub companion_bytes: u64,
    /// Rows of parts that have a companion.
    pub companion_rows: u64,
}

/// A vector set of an open store. Cheap to clone. Reads show the newest commit; [`VectorSet::snapshot`] holds a moment.
///
/// Methods that change the set run a transaction of their own each, again if another one got in between; with
/// [`WriteTxn::vectors`](crate::WriteTxn::vectors) changes of several sets and atoms are one.
#[derive(Clone, Debug)]
pub struct VectorSet {
    store: Store,
    name: SetName,
    row: VectorSetRow,
    companions: Companions,
    /// The newest view, for its parts.
    last: Arc<Mutex<Option<VectorSnapshot>>>,
}

impl Store {
    /// The vector set of this name, created in a commit of its own if there is none. Names follow the rules of keys;
    /// integers are none. Fails with `AlreadyExists` when there is one of another dimension, element type or metric, and
    /// as [`WriteTxn::create_vectors`](crate::WriteTxn::create_vectors) does.
    pub fn vectors<'n>(
        &self,
        name: impl Into<Address<'n>>,
        dim: usize,
        dtype: DType,
        metric: Metric,
    ) -> Result<VectorSet> {
        let address = name.into();
        let wanted = check_spec(dim, dtype).map_err(|e| e.during("open vector set").key(address.key))?;
        for _ in 0..ATTEMPTS {
            match self.vector_set(address) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
                Ok(set) => {
                    let spec = &set.row.spec;
                    if (spec.dim, spec.dtype, spec.metric) == (wanted, dtype, metric) {
                        return Ok(set);
                    }
                    let what = format!("the vector set is {} x {} by {}", spec.dim, spec.dtype, spec.metric);
                    let error = Error::new(ErrorKind::AlreadyExists, what);
                    return Err(error.during("open vector set").key(address.key));
                }
            }
            let mut txn = self.begin()?;
            match txn.create_vectors(address, dim, dtype, metric).map(drop).and_then(|()| txn.commit()) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        Err(Error::new(ErrorKind::Conflict, "the vector set comes and goes").during("open vector set").key(address.key))
    }

    /// An existing vector set. Fails with `NotFound`.
    pub fn vector_set<'n>(&self, name: impl Into<Address<'n>>) -> Result<VectorSet> {
        let address = name.into();
        let open = || -> Result<VectorSet> {
            let lsn = self.inner.current_lsn()?;
            let name = set_name(address)?;
            let row = self.inner.catalog.read()?.view()?.vector_set(name.0, &name.1, lsn.min(LATEST))?;
            let row = row.ok_or_else(not_found)?;
            Ok(VectorSet { store: self.clone(), name, row, companions: Companions::Auto, last: Arc::default() })
        };
        open().map_err(|e| e.during("open vector set").key(address.key))
    }
}

impl Snapshot {
    /// A vector set as it was at this moment. Fails with `NotFound`.
    pub fn vector_set<'n>(&self, name: impl Into<Address<'n>>) -> Result<VectorSnapshot> {
        let address = self.address(name);
        let open = || -> Result<VectorSnapshot> {
            self.store().inner.check_usable()?;
            let name = set_name(address)?;
            let row = self.store().inner.catalog.read()?.view()?.vector_set(name.0, &name.1, self.lsn().min(LATEST))?;
            self.check_moment()?;
            let view = VectorSnapshot::load(self.store(), row.ok_or_else(not_found)?, self.lsn(), &[])?;
            self.check_moment().map(|()| view)
        };
        open().map_err(|e| e.during("open vector set").key(address.key))
    }

    /// The vector sets of this snapshot's namespace, by name.
    pub fn vector_sets(&self) -> Result<Vec<VectorSnapshot>> {
        self.store().inner.check_usable()?;
        let rows = self.store().inner.catalog.read()?.view()?.vector_sets(self.namespace(), self.lsn().min(LATEST))?;
        let views: Result<Vec<_>> =
            rows.into_iter().map(|row| VectorSnapshot::load(self.store(), row, self.lsn(), &[])).collect();
        self.check_moment().and(views)
    }
}

impl Namespace {
    /// The vector set of this name in this namespace, as [`Store::vectors`].
    pub fn vectors(&self, name: &str, dim: usize, dtype: DType, metric: Metric) -> Result<VectorSet> {
        self.store().vectors(self.key(name), dim, dtype, metric)
    }
}

impl VectorSet {
    /// Name of the set.
    pub fn name(&self) -> &str {
        &self.name.1
    }

    /// Elements per vector.
    pub fn dim(&self) -> usize {
        self.row.spec.dim as usize
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.row.spec.dtype
    }

    /// The metric searches use unless told otherwise.
    pub fn metric(&self) -> Metric {
        self.row.spec.metric
    }

    /// When vectors appended through this handle get a companion. Default [`Companions::Auto`].
    #[must_use]
    pub fn companions(mut self, companions: Companions) -> Self {
        self.companions = companions;
        self
    }

    fn address(&self) -> Address<'_> {
        Address { namespace: self.name.0, key: crate::key::KeyRef::Name(&self.name.1) }
    }

    /// The set as it is now. Costs a few loads if nothing was committed since the last call, a few look-ups per changed
    /// part otherwise. Fails with `NotFound` once the set is dropped, or another one took its name.
    pub fn snapshot(&self) -> Result<VectorSnapshot> {
        self.snapshot_inner().map_err(|e| e.during("open vector set").key(self.name()))
    }

    fn snapshot_inner(&self) -> Result<VectorSnapshot> {
        let lsn = self.store.inner.current_lsn()?;
        let known = self.last.lock().clone();
        if let Some(known) = known.as_ref().filter(|known| known.lsn() == lsn) {
            return Ok(known.clone());
        }
        let row = self.store.inner.catalog.read()?.view()?.vector_set(self.name.0, &self.name.1, lsn.min(LATEST))?;
        let row = row.filter(|row| row.spec.set == self.row.spec.set).ok_or_else(not_found)?;
        let parts = known.as_ref().map_or(&[][..], VectorSnapshot::parts);
        let view = VectorSnapshot::load(&self.store, row, lsn, parts)?;
        match self.store.inner.check_moment(lsn) {
            // Another process changed the set and gave up what was before; the newest state is there.
            Err(e) if e.kind() == ErrorKind::Forgotten => return self.snapshot_inner(),
            other => other?,
        }
        *self.last.lock() = Some(view.clone());
        Ok(view)
    }

    /// Runs a transaction, again as long as others get in between.
    fn change<T>(&self, work: impl Fn(&mut VectorWriter<'_>) -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut txn = self.store.begin()?;
            let mut writer = txn.vectors(self.address())?.companions(self.companions);
            if writer.number()? != self.row.spec.set {
                return Err(not_found().during("open vector set").key(self.name()));
            }
            let outcome = work(&mut writer)?;
            match txn.commit() {
                Ok(_) => return Ok(outcome),
                Err(e) if e.kind() == ErrorKind::Conflict && tries < ATTEMPTS => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Adds vectors, as [`VectorWriter::append`].
    pub fn append(&self, ids: &[i64], rows: Rows<'_>) -> Result<()> {
        self.change(|writer| writer.append(ids, rows))
    }

    /// Adds or replaces vectors, as [`VectorWriter::upsert`].
    pub fn upsert(&self, ids: &[i64], rows: Rows<'_>) -> Result<()> {
        self.change(|writer| writer.upsert(ids, rows))
    }

    /// Deletes vectors and returns how many there were, as [`VectorWriter::delete`].
    pub fn delete(&self, ids: &[i64]) -> Result<u64> {
        self.change(|writer| writer.delete(ids))
    }

    /// Puts parts together, as [`VectorWriter::compact`].
    pub fn compact(&self, options: &CompactOptions, control: &Control<'_>) -> Result<u64> {
        self.change(|writer| writer.compact(options, control))
    }

    /// Builds missing companions, as [`VectorWriter::build_companions`].
    pub fn build_companions(&self, control: &Control<'_>) -> Result<u64> {
        self.change(|writer| writer.build_companions(control))
    }

    /// Number of vectors.
    pub fn len(&self) -> Result<u64> {
        Ok(self.snapshot()?.len())
    }

    /// True when there are none.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Whether there is a vector of this id.
    pub fn contains(&self, id: i64) -> Result<bool> {
        self.snapshot()?.contains(id)
    }

    /// The vectors of some ids, as [`VectorSnapshot::get`].
    pub fn get(&self, ids: &[i64]) -> Result<Vec<Option<Bytes>>> {
        self.snapshot()?.get(ids)
    }

    /// Facts and sums.
    pub fn info(&self) -> Result<VectorSetInfo> {
        Ok(self.snapshot()?.info())
    }

    /// The k nearest vectors of each query, as [`VectorSnapshot::search`].
    pub fn search(&self, queries: Rows<'_>, k: usize, options: &SearchOptions<'_>) -> Result<Vec<Vec<Neighbor>>> {
        self.snapshot()?.search(queries, k, options)
    }
}

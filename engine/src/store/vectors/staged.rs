//! What a transaction is going to change in vector sets, collected until it commits, and the writer that collects it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::bytes::{AlignedBuffer, Bytes};
use crate::catalog::{LATEST, PartState, VectorSetRow, VectorSetSpec};
use crate::control::Control;
use crate::digest::Digest;
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, ErrorKind, Result};
use crate::format::RecordKind;
use crate::kernels::{Metric, Rows};
use crate::key::{KeyRef, NAME_BYTES_MAX};
use crate::memory::{copied, reserve, zeroed};
use crate::search::companion;
use crate::search::elements::{is_searchable, row_len_bytes};
use crate::segment::Description;
use zerocopy::IntoBytes;

use super::super::atom::Payload;
use super::super::snapshot::Address;
use super::super::txn::WriteTxn;
use super::view::{PartView, VectorSnapshot, find, find_all, version_of};
use super::{CompactOptions, Companions};

/// Parts of fewer rows are scanned faster than a companion is worth.
const COMPANION_ROWS_MIN: u64 = 1024;

/// Name of a vector set with its namespace.
pub(crate) type SetName = (u32, String);

/// Changes of one vector set.
#[derive(Debug)]
pub(crate) struct StagedSet {
    /// Number 0 until the commit gives one.
    pub(crate) spec: VectorSetSpec,
    pub(crate) is_new: bool,
    /// The set that had this name before and goes.
    pub(crate) dropped_set: Option<u32>,
    /// What the transaction sees of others.
    pub(crate) base: Vec<Arc<PartView>>,
    /// Whole bitmaps of deleted rows that replace those of base parts.
    pub(crate) dead: BTreeMap<u32, StagedBitmap>,
    pub(crate) dropped_parts: BTreeSet<u32>,
    pub(crate) companions: BTreeMap<u32, Digest>,
    pub(crate) new_parts: Vec<StagedPart>,
    /// Ids that were to be deleted and not there, in any order: if they are at commit, the deletion missed them.
    pub(crate) absent: Vec<i64>,
}

/// A bitmap of deleted rows; its digest is known once it is staged as a payload, before the commit.
#[derive(Debug, Default)]
pub(crate) struct StagedBitmap {
    pub(crate) rows: RoaringBitmap,
    pub(crate) digest: Option<Digest>,
}

/// A part that the transaction adds.
#[derive(Debug)]
pub(crate) struct StagedPart {
    pub(crate) rows: u64,
    pub(crate) ids: Arc<Vec<i64>>,
    pub(crate) vectors: Digest,
    pub(crate) ids_digest: Digest,
    pub(crate) companion: Option<Digest>,
    pub(crate) dead: StagedBitmap,
    /// Rows of parts that are dropped, put together: their ids are not new.
    pub(crate) is_moved: bool,
}

impl StagedPart {
    /// Whether this part gives the set this id.
    pub(crate) fn adds(&self, id: i64) -> bool {
        !self.is_moved && find(&self.ids, &self.dead.rows, id).is_some()
    }
}

impl StagedSet {
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_new
            && self.dropped_set.is_none()
            && self.dead.is_empty()
            && self.dropped_parts.is_empty()
            && self.companions.is_empty()
            && self.new_parts.is_empty()
    }

    /// True when hardly any space is needed.
    pub(crate) fn only_deletes(&self) -> bool {
        !self.is_new && self.companions.is_empty() && self.new_parts.is_empty()
    }

    /// Payloads that the commit refers to.
    pub(crate) fn used_payloads(&self) -> impl Iterator<Item = Digest> + '_ {
        let parts = self.new_parts.iter().flat_map(|part| {
            [Some(part.vectors), Some(part.ids_digest), part.companion, part.dead.digest].into_iter().flatten()
        });
        let bitmaps = self.dead.values().filter_map(|bitmap| bitmap.digest);
        parts.chain(bitmaps).chain(self.companions.values().copied())
    }

    fn dead_of<'a>(&'a self, part: &'a PartView) -> &'a RoaringBitmap {
        self.dead.get(&part.state.part).map_or(&part.dead, |staged| &staged.rows)
    }

    fn base_parts(&self) -> impl Iterator<Item = &Arc<PartView>> {
        self.base.iter().filter(|part| !self.dropped_parts.contains(&part.state.part))
    }

    fn len(&self) -> u64 {
        let base: u64 = self.base_parts().map(|part| part.state.rows.saturating_sub(self.dead_of(part).len())).sum();
        base + self.new_parts.iter().map(|part| part.rows.saturating_sub(part.dead.rows.len())).sum::<u64>()
    }

    fn contains(&self, id: i64) -> Result<bool> {
        if self.new_parts.iter().any(|part| find(&part.ids, &part.dead.rows, id).is_some()) {
            return Ok(true);
        }
        for part in self.base_parts() {
            if find(part.ids()?, self.dead_of(part), id).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first of some ascending ids that the set has.
    fn first_present(&self, ids: &[i64]) -> Result<Option<i64>> {
        let mut found: Option<usize> = None;
        let mut note = |known: &[i64], dead: &RoaringBitmap| {
            let first = find_all(known, dead, ids).map(|(index, _)| index).next();
            found = [found, first].into_iter().flatten().min();
        };
        self.new_parts.iter().for_each(|part| note(&part.ids, &part.dead.rows));
        for part in self.base_parts() {
            note(part.ids()?, self.dead_of(part));
        }
        Ok(found.map(|index| ids[index]))
    }

    /// Marks the rows of these ascending ids as deleted. Returns how many there were, and remembers which were not. Looks
    /// first and marks then: where ids cannot be read nothing is marked.
    fn delete(&mut self, ids: &[i64]) -> Result<u64> {
        let mut is_present: Vec<bool> = zeroed(ids.len())?;
        let mut rows_of = |known: &[i64], dead: &RoaringBitmap| -> Result<Vec<u32>> {
            let mut rows = Vec::new();
            reserve(&mut rows, ids.len().min(known.len()))?;
            for (index, row) in find_all(known, dead, ids) {
                is_present[index] = true;
                rows.push(row);
            }
            Ok(rows)
        };
        let mut new = Vec::new();
        reserve(&mut new, self.new_parts.len())?;
        for part in &self.new_parts {
            new.push(rows_of(&part.ids, &part.dead.rows)?);
        }
        let mut base = Vec::new();
        for part in self.base_parts() {
            let rows = rows_of(part.ids()?, self.dead_of(part))?;
            if !rows.is_empty() {
                base.push((Arc::clone(part), rows));
            }
        }
        let found = is_present.iter().filter(|present| **present).count();
        reserve(&mut self.absent, ids.len() - found)?;
        for (part, rows) in self.new_parts.iter_mut().zip(new).filter(|(_, rows)| !rows.is_empty()) {
            part.dead.rows.extend(rows);
            part.dead.digest = None;
        }
        for (part, rows) in base {
            let fresh = || StagedBitmap { rows: part.dead.clone(), digest: None };
            let staged = self.dead.entry(part.state.part).or_insert_with(fresh);
            staged.rows.extend(rows);
            staged.digest = None;
        }
        let absent = ids.iter().zip(&is_present).filter(|(_, present)| !**present);
        self.absent.extend(absent.map(|(id, _)| *id));
        Ok(found as u64)
    }
}

/// Changes of one vector set inside a transaction. See [`WriteTxn::vectors`].
#[derive(Debug)]
pub struct VectorWriter<'t> {
    txn: &'t mut WriteTxn,
    name: SetName,
    companions: Companions,
    control: Control<'t>,
}

impl WriteTxn {
    /// A writer for an existing vector set, as this transaction sees it. Fails with `NotFound`.
    ///
    /// At commit the transaction fails with `Conflict` if another one that committed meanwhile deleted or replaced
    /// vectors in a part where this one does, compacted such a part, added an id that this one adds or meant to delete,
    /// or dropped the set. So transactions on a set have the effect of one after the other, in the order of their
    /// commits. Two that only append different ids both succeed.
    pub fn vectors<'n>(&mut self, name: impl Into<Address<'n>>) -> Result<VectorWriter<'_>> {
        let address = name.into();
        let mut open = || -> Result<SetName> {
            self.store().inner.check_writable()?;
            let name = set_name(address)?;
            if let Some(staged) = self.staged().vectors.get(&name) {
                return if staged.spec.dim == 0 { Err(not_found()) } else { Ok(name) };
            }
            let view = self.stored_vectors(&name)?.ok_or_else(not_found)?;
            let staged = StagedSet {
                spec: view.spec().clone(),
                is_new: false,
                dropped_set: None,
                base: view.parts().to_vec(),
                dead: BTreeMap::new(),
                dropped_parts: BTreeSet::new(),
                companions: BTreeMap::new(),
                new_parts: Vec::new(),
                absent: Vec::new(),
            };
            self.staged().vectors.insert(name.clone(), staged);
            Ok(name)
        };
        let name = open().map_err(|e| e.during("open vector set").key(address.key))?;
        Ok(VectorWriter { txn: self, name, companions: Companions::Auto, control: Control::new() })
    }

    /// A set that others made, as the transaction began, or as it is now where that moment was forgotten meanwhile.
    fn stored_vectors(&self, name: &SetName) -> Result<Option<VectorSnapshot>> {
        let (store, mut lsn) = (self.store(), self.lsn());
        loop {
            let row = store.inner.catalog.read()?.view()?.vector_set(name.0, &name.1, lsn.min(LATEST))?;
            let view = row.map(|row| VectorSnapshot::load(store, row, lsn, &[]));
            match store.inner.check_moment(lsn) {
                Err(e) if e.kind() == ErrorKind::Forgotten => lsn = store.inner.current_lsn()?,
                other => return other.and_then(|()| view.transpose()),
            }
        }
    }

    /// Creates a vector set. Fails with `AlreadyExists` now or at commit, with `InvalidKey` unless the name is a valid
    /// key that is no integer, with `InvalidShape` for a dimension of 0 or more than 2^32 - 1, with `Unsupported` for
    /// element types without distances.
    pub fn create_vectors<'n>(
        &mut self,
        name: impl Into<Address<'n>>,
        dim: usize,
        dtype: DType,
        metric: Metric,
    ) -> Result<VectorWriter<'_>> {
        let address = name.into();
        let mut create = || -> Result<SetName> {
            self.store().inner.check_writable()?;
            let name = set_name(address)?;
            let dim = check_spec(dim, dtype)?;
            let exists = || Error::new(ErrorKind::AlreadyExists, "there is a vector set of this name");
            let dropped_set = match self.staged().vectors.get(&name) {
                Some(staged) if staged.spec.dim > 0 => return Err(exists()),
                Some(staged) => staged.dropped_set,
                None => {
                    let lsn = self.lsn().min(LATEST);
                    let found = self.store().inner.catalog.read()?.view()?.vector_set(name.0, &name.1, lsn)?;
                    if found.is_some() {
                        return Err(exists());
                    }
                    None
                }
            };
            let spec = VectorSetSpec { set: 0, namespace: name.0, name: name.1.clone(), dim, dtype, metric };
            self.staged().vectors.insert(name.clone(), StagedSet::new(spec, true, dropped_set));
            Ok(name)
        };
        let name = create().map_err(|e| e.during("create vector set").key(address.key))?;
        Ok(VectorWriter { txn: self, name, companions: Companions::Auto, control: Control::new() })
    }

    /// Drops a vector set with all its vectors. Returns whether it existed. Snapshots made before still show it.
    pub fn drop_vectors<'n>(&mut self, name: impl Into<Address<'n>>) -> Result<bool> {
        let address = name.into();
        let name = match self.vectors(address) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            other => other?.name,
        };
        let Some(staged) = self.staged().vectors.remove(&name) else { return Ok(false) };
        let dropped_set = if staged.is_new { staged.dropped_set } else { Some(staged.spec.set) };
        if dropped_set.is_some() {
            // Dimension 0 stands for a set that is gone.
            let spec = VectorSetSpec { dim: 0, ..staged.spec };
            self.staged().vectors.insert(name, StagedSet::new(spec, false, dropped_set));
        }
        Ok(true)
    }

    /// Makes payloads of the bitmaps of deleted rows, which are final at commit.
    pub(crate) fn stage_bitmaps(&mut self) -> Result<()> {
        let names: Vec<SetName> = self.staged().vectors.keys().cloned().collect();
        for name in names {
            let Some(mut set) = self.staged().vectors.remove(&name) else { continue };
            let new = set.new_parts.iter_mut().map(|part| &mut part.dead).filter(|dead| !dead.rows.is_empty());
            for bitmap in new.chain(set.dead.values_mut()).filter(|bitmap| bitmap.digest.is_none()) {
                bitmap.rows.optimize();
                let mut bytes = Vec::with_capacity(bitmap.rows.serialized_size());
                bitmap.rows.serialize_into(&mut bytes).map_err(|e| Error::internal(e.to_string()))?;
                bitmap.digest = Some(self.stage_bytes(name.0, DType::U8, vec![bytes.len() as u64], &bytes)?);
            }
            self.staged().vectors.insert(name, set);
        }
        Ok(())
    }

    /// Stages a payload that has no key.
    fn stage_bytes(&mut self, namespace: u32, dtype: DType, shape: Vec<u64>, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of_parallel(bytes, self.store().inner.segments.pool()?);
        let description = Description {
            kind: RecordKind::Payload,
            namespace,
            key: None,
            dtype,
            shape,
            encoding: Encoding::Plain,
            created_us: u64::try_from(self.store().inner.volume.now_us()).unwrap_or(0),
        };
        self.stage_payload(namespace, digest, description, bytes)?;
        Ok(digest)
    }
}

impl StagedSet {
    fn new(spec: VectorSetSpec, is_new: bool, dropped_set: Option<u32>) -> Self {
        StagedSet {
            spec,
            is_new,
            dropped_set,
            base: Vec::new(),
            dead: BTreeMap::new(),
            dropped_parts: BTreeSet::new(),
            companions: BTreeMap::new(),
            new_parts: Vec::new(),
            absent: Vec::new(),
        }
    }
}

pub(super) fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "no such vector set")
}

/// The name in an address: a key that is no integer.
pub(super) fn set_name(address: Address<'_>) -> Result<SetName> {
    address.key.check()?;
    match address.key {
        KeyRef::Name(name) => Ok((address.namespace, name.to_owned())),
        KeyRef::Int(_) => {
            let what = format!("vector sets have names of 1 to {NAME_BYTES_MAX} bytes, not integers");
            Err(Error::new(ErrorKind::InvalidKey, what))
        }
    }
}

pub(super) fn check_spec(dim: usize, dtype: DType) -> Result<u32> {
    if !is_searchable(dtype) {
        return Err(Error::new(ErrorKind::Unsupported, format!("vectors of {dtype} have no distances"))
            .hint("known: f64 f32 f16 bf16 i8 u8 b1"));
    }
    let fits = u32::try_from(dim).ok().filter(|&dim| dim > 0);
    fits.ok_or_else(|| Error::new(ErrorKind::InvalidShape, format!("vectors of {dim} elements")))
}

impl<'t> VectorWriter<'t> {
    /// What may end an append or an upsert between the steps of its work: matrix, ids, companion. After `Cancelled`, as after
    /// any failure, the transaction is as it was before the call.
    #[must_use]
    pub fn within(mut self, control: Control<'t>) -> Self {
        self.control = control;
        self
    }

    /// When appended vectors get a companion. Default [`Companions::Auto`].
    #[must_use]
    pub fn companions(mut self, companions: Companions) -> Self {
        self.companions = companions;
        self
    }

    fn set(&mut self) -> Result<&mut StagedSet> {
        self.txn.staged().vectors.get_mut(&self.name).ok_or_else(|| Error::internal("a writer without its set"))
    }

    /// Number of the set; 0 for a new one.
    pub(super) fn number(&mut self) -> Result<u32> {
        Ok(self.set()?.spec.set)
    }

    fn explain(&self, error: Error, operation: &'static str) -> Error {
        error.during(operation).key(&self.name.1)
    }

    /// Number of vectors, as this transaction sees it.
    pub fn len(&mut self) -> Result<u64> {
        Ok(self.set()?.len())
    }

    /// True when there are none.
    pub fn is_empty(&mut self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Whether there is a vector of this id, as this transaction sees it.
    pub fn contains(&mut self, id: i64) -> Result<bool> {
        self.set()?.contains(id).map_err(|e| self.explain(e, "look into"))
    }

    /// The set as this transaction sees it, with its own changes so far: to read, to iterate, to search. What the
    /// transaction added is readable until it ends; later reads of that may fail.
    pub fn view(&mut self) -> Result<VectorSnapshot> {
        self.view_inner().map_err(|e| self.explain(e, "look into"))
    }

    fn view_inner(&mut self) -> Result<VectorSnapshot> {
        let set = self.set()?;
        let spec = set.spec.clone();
        let mut parts: Vec<Arc<PartView>> = Vec::new();
        for part in set.base_parts() {
            parts.push(match set.dead.get(&part.state.part) {
                Some(staged) => Arc::new(part.with_dead(staged.rows.clone())),
                None => Arc::clone(part),
            });
        }
        let new: Vec<_> = set
            .new_parts
            .iter()
            .map(|part| (part.rows, part.vectors, part.ids_digest, part.companion, part.dead.rows.clone()))
            .collect();
        let mut number = set.base.last().map_or(0, |part| part.state.part);
        for (rows, vectors, ids, companion, dead) in new {
            number = number.saturating_add(1);
            let state = PartState { part: number, rows, added_lsn: 0, lsn_from: 0, tombstone_lsn: None };
            let shape = vec![rows, u64::from(spec.dim)];
            let vectors = self.staged_payload(&spec, state, vectors, spec.dtype, Some(shape))?;
            let ids = self.staged_payload(&spec, state, ids, DType::I64, Some(vec![rows]))?;
            let companion = companion.map(|digest| self.staged_payload(&spec, state, digest, DType::U8, None));
            parts.push(Arc::new(PartView::of(state, [vectors, ids], companion.transpose()?, dead)));
        }
        let (store, lsn) = (self.txn.store().clone(), self.txn.lsn());
        Ok(VectorSnapshot::of(store, lsn, VectorSetRow { spec, lsn_from: 0 }, parts))
    }

    /// A payload this transaction staged; without a shape it is bytes.
    fn staged_payload(
        &mut self,
        spec: &VectorSetSpec,
        state: PartState,
        digest: Digest,
        dtype: DType,
        shape: Option<Vec<u64>>,
    ) -> Result<Payload> {
        let staged = self.txn.staged().payloads.get(&(spec.namespace, digest));
        let raw_bytes = staged.ok_or_else(|| Error::internal("a part without its payload"))?.raw_bytes;
        let shape = shape.unwrap_or_else(|| vec![raw_bytes]);
        self.txn.staged_payload(spec.namespace, version_of(spec, state, (0, digest, raw_bytes), dtype, shape))
    }

    /// Adds vectors, one per id, as one part. Fails with `AlreadyExists` when the set has one of the ids, with
    /// `InvalidArgument` when an id occurs twice or the numbers of ids and rows differ, with `InvalidShape` for another
    /// dimension, `Unsupported` for another element type.
    ///
    /// One call makes one part: add many at a time. Ids that ascend save a copy.
    pub fn append(&mut self, ids: &[i64], rows: Rows<'_>) -> Result<()> {
        self.add(ids, rows, false).map_err(|e| self.explain(e, "append to"))
    }

    /// Adds vectors, or replaces those of the same ids. Fails as [`VectorWriter::append`] does otherwise.
    pub fn upsert(&mut self, ids: &[i64], rows: Rows<'_>) -> Result<()> {
        self.add(ids, rows, true).map_err(|e| self.explain(e, "upsert into"))
    }

    fn add(&mut self, ids: &[i64], rows: Rows<'_>, replace: bool) -> Result<()> {
        let spec = self.set()?.spec.clone();
        if rows.dim() != spec.dim as usize {
            let what = format!("vectors of {} elements for a set of {}", rows.dim(), spec.dim);
            return Err(Error::new(ErrorKind::InvalidShape, what));
        }
        if rows.dtype() != spec.dtype {
            let what = format!("vectors of {} for a set of {}", rows.dtype(), spec.dtype);
            return Err(Error::new(ErrorKind::Unsupported, what).hint("convert the vectors first"));
        }
        if rows.rows() != ids.len() || u32::try_from(ids.len()).is_err() {
            let what = format!("{} ids for {} vectors", ids.len(), rows.rows());
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        if ids.is_empty() {
            return Ok(());
        }
        let (ids, bytes) = in_order(ids, rows)?;
        let taken = if replace { None } else { self.set()?.first_present(&ids)? };
        if let Some(id) = taken {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("the set has a vector {id}")));
        }
        let part = self.stage_part(&spec, ids, &bytes, false)?;
        let set = self.set()?;
        if replace {
            set.delete(&part.ids)?;
        }
        set.new_parts.push(part);
        Ok(())
    }

    /// Stages what a part is made of. The set does not have it yet, so that a call that fails changes nothing.
    fn stage_part(&mut self, spec: &VectorSetSpec, ids: Vec<i64>, bytes: &[u8], is_moved: bool) -> Result<StagedPart> {
        let rows = ids.len() as u64;
        let shape = vec![rows, u64::from(spec.dim)];
        byte_len(spec.dtype, &shape, &Encoding::Plain)?;
        self.control.check()?;
        let vectors = self.txn.stage_bytes(spec.namespace, spec.dtype, shape, bytes)?;
        self.control.check()?;
        let ids_digest = self.txn.stage_bytes(spec.namespace, DType::I64, vec![rows], ids.as_bytes())?;
        let wanted = match self.companions {
            Companions::Auto => rows >= COMPANION_ROWS_MIN,
            Companions::Always => true,
            Companions::Never => false,
        };
        let worthwhile = companion::is_worthwhile(spec.dtype, spec.dim as usize);
        let companion = (wanted && worthwhile).then(|| self.stage_companion(spec, bytes)).transpose()?;
        let dead = StagedBitmap::default();
        let ids = Arc::new(ids);
        Ok(StagedPart { rows, ids, vectors, ids_digest, companion, dead, is_moved })
    }

    fn stage_companion(&mut self, spec: &VectorSetSpec, matrix: &[u8]) -> Result<Digest> {
        self.control.check()?;
        let pool = self.txn.store().inner.segments.pool()?;
        let built = pool.install(|| companion::build(spec.dtype, spec.dim as usize, matrix))?;
        let bytes = built.as_slice();
        self.txn.stage_bytes(spec.namespace, DType::U8, vec![bytes.len() as u64], bytes)
    }

    /// Deletes the vectors of these ids. Returns how many there were. Their space is freed by compaction.
    pub fn delete(&mut self, ids: &[i64]) -> Result<u64> {
        let mut sorted = copied(ids)?;
        sorted.sort_unstable();
        sorted.dedup();
        self.set()?.delete(&sorted).map_err(|e| self.explain(e, "delete from"))
    }

    /// Builds companions for the parts that were there before this transaction and have none, whatever their size.
    /// Returns how many were built.
    pub fn build_companions(&mut self, control: &Control<'_>) -> Result<u64> {
        self.build_inner(control).map_err(|e| self.explain(e, "build companions of"))
    }

    fn build_inner(&mut self, control: &Control<'_>) -> Result<u64> {
        let set = self.set()?;
        let spec = set.spec.clone();
        if !companion::is_worthwhile(spec.dtype, spec.dim as usize) {
            return Ok(0);
        }
        let without = |part: &&Arc<PartView>| {
            part.companion.is_none() && part.state.rows > 0 && !set.companions.contains_key(&part.state.part)
        };
        let parts: Vec<Arc<PartView>> = set.base_parts().filter(without).cloned().collect();
        for part in &parts {
            control.check()?;
            let digest = self.stage_companion(&spec, &part.vectors.bytes()?)?;
            self.set()?.companions.insert(part.state.part, digest);
        }
        Ok(parts.len() as u64)
    }

    /// Puts parts that are small, or of which much is deleted, together into new ones without the deleted rows. Returns
    /// how many parts were replaced. Parts added by this transaction are left alone.
    pub fn compact(&mut self, options: &CompactOptions, control: &Control<'_>) -> Result<u64> {
        self.compact_inner(options, control).map_err(|e| self.explain(e, "compact"))
    }

    fn compact_inner(&mut self, options: &CompactOptions, control: &Control<'_>) -> Result<u64> {
        let set = self.set()?;
        let spec = set.spec.clone();
        let row_bytes = row_len_bytes(spec.dtype, spec.dim as usize);
        let rows_max = usize::try_from(options.part_bytes_max / (row_bytes as u64).max(1)).unwrap_or(usize::MAX).max(1);
        let rows_max = rows_max.min(u32::MAX as usize);
        let (mut chosen, mut small) = (Vec::new(), Vec::new());
        for part in set.base_parts() {
            let dead = set.dead_of(part).len();
            if dead > 0 && dead as f64 >= options.dead_fraction * part.state.rows as f64 {
                chosen.push(Arc::clone(part));
            } else if part.state.rows < options.small_rows.min(rows_max as u64) {
                small.push(Arc::clone(part));
            }
        }
        // A single small part is as good as it can be.
        if chosen.len() + small.len() > 1 {
            chosen.append(&mut small);
        }
        let mut rows: Vec<(i64, u32, u32)> = Vec::new();
        let live = chosen.iter().map(|part| part.state.rows.saturating_sub(set.dead_of(part).len())).sum::<u64>();
        reserve(&mut rows, usize::try_from(live).unwrap_or(usize::MAX))?;
        for (index, part) in chosen.iter().enumerate() {
            let dead = set.dead_of(part);
            let ids = part.ids()?;
            let live = (0..part.rows()).filter(|row| !dead.contains(*row));
            rows.extend(live.map(|row| (ids[row as usize], index as u32, row)));
        }
        rows.sort_unstable();
        let mut parts = Vec::new();
        for piece in rows.chunks(rows_max) {
            control.check()?;
            let mut buffer = AlignedBuffer::zeroed(piece.len() * row_bytes)?;
            // Part by part, so that each is read from front to back.
            let (mut order, mut ids) = (Vec::new(), Vec::new());
            reserve(&mut order, piece.len())?;
            reserve(&mut ids, piece.len())?;
            order.extend(0..piece.len());
            ids.extend(piece.iter().map(|(id, ..)| *id));
            order.sort_unstable_by_key(|&at| (piece[at].1, piece[at].2));
            let mut block: Option<(u32, std::ops::Range<u32>, Bytes)> = None;
            for at in order {
                let (_, part, row) = piece[at];
                let known = block.as_ref().is_some_and(|(of, rows, _)| *of == part && rows.contains(&row));
                if !known {
                    let end = chosen[part as usize].rows().min(row.saturating_add(BLOCK_ROWS));
                    let bytes = chosen[part as usize].vectors.rows(u64::from(row)..u64::from(end))?;
                    block = Some((part, row..end, bytes));
                }
                let Some((_, rows, bytes)) = &block else { continue };
                let from = (row - rows.start) as usize * row_bytes;
                let to = at * row_bytes;
                buffer.as_mut_slice()[to..to + row_bytes].copy_from_slice(&bytes[from..from + row_bytes]);
            }
            parts.push(self.stage_part(&spec, ids, buffer.as_slice(), true)?);
        }
        let set = self.set()?;
        for part in &chosen {
            set.dropped_parts.insert(part.state.part);
            set.dead.remove(&part.state.part);
            set.companions.remove(&part.state.part);
        }
        set.new_parts.append(&mut parts);
        Ok(chosen.len() as u64)
    }
}

/// Rows that compaction reads at a time.
const BLOCK_ROWS: u32 = 1024;

/// Ids ascending, and rows in their order as contiguous bytes.
type InOrder<'a> = (Vec<i64>, Cow<'a, [u8]>);

/// Puts ids and rows in order; copies only where they are not. Fails with `InvalidArgument` for an id that occurs
/// twice.
fn in_order<'a>(ids: &[i64], rows: Rows<'a>) -> Result<InOrder<'a>> {
    let twice = |id: i64| Error::new(ErrorKind::InvalidArgument, format!("id {id} occurs twice"));
    if let Some(bytes) = rows.contiguous().filter(|_| ids.is_sorted_by(|a, b| a < b)) {
        return Ok((copied(ids)?, bytes.into()));
    }
    let mut order: Vec<usize> = Vec::new();
    reserve(&mut order, ids.len())?;
    order.extend(0..ids.len());
    order.sort_unstable_by_key(|&i| ids[i]);
    let mut sorted = Vec::new();
    reserve(&mut sorted, ids.len())?;
    sorted.extend(order.iter().map(|&i| ids[i]));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(twice(pair[0]));
    }
    let mut bytes = Vec::new();
    let row_bytes = row_len_bytes(rows.dtype(), rows.dim());
    reserve(&mut bytes, row_bytes.saturating_mul(ids.len()))?;
    order.iter().for_each(|&i| bytes.extend_from_slice(rows.row_bytes(i)));
    Ok((sorted, bytes.into()))
}

//! A vector set at one moment: its parts, reading by id, iteration, search.

use std::sync::{Arc, OnceLock};

use roaring::RoaringBitmap;

use crate::bytes::Bytes;
use crate::catalog::{LATEST, PartRow, PartState, PlacedPayload, VectorSetRow, VectorSetSpec, VersionRow};
use crate::digest::Digest;
use crate::dtype::{DType, Encoding};
use crate::error::{Error, Result};
use crate::kernels::{Metric, Rows};
use crate::key::Key;
use crate::memory::reserve;
use crate::search::companion::Companion;
use crate::search::elements::row_len_bytes;
use crate::search::filter::Ids;
use crate::search::source::ByteSource;
use crate::search::{Corpus, Neighbor, Part, SearchOptions};
use crate::tensor::TensorView;

use super::super::Store;
use super::super::atom::{Atom, Payload};
use super::VectorSetInfo;

/// Bytes of vectors that iteration reads at a time.
const ITERATION_BYTES: usize = 1 << 20;

/// A vector set at one commit. Does not change, whatever is committed; never blocks and is never blocked.
///
/// Made by [`VectorSet::snapshot`](super::VectorSet::snapshot) and
/// [`Snapshot::vector_set`](crate::Snapshot::vector_set).
#[derive(Clone, Debug)]
pub struct VectorSnapshot {
    store: Store,
    lsn: u64,
    row: VectorSetRow,
    parts: Vec<Arc<PartView>>,
}

/// A part in one of its states.
#[derive(Debug)]
pub(crate) struct PartView {
    pub(super) state: PartState,
    pub(super) vectors: Payload,
    pub(super) companion: Option<Payload>,
    /// Rows that are deleted.
    pub(super) dead: RoaringBitmap,
    ids: Payload,
    ids_view: OnceLock<TensorView<i64>>,
}

impl ByteSource for Payload {
    fn len_bytes(&self) -> u64 {
        self.len()
    }

    fn range(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        Payload::range(self, range)
    }

    fn is_direct(&self) -> bool {
        self.is_mapped()
    }
}

impl PartView {
    fn open(store: &Store, spec: &VectorSetSpec, state: PartState, row: PartRow) -> Result<Self> {
        let payload = |placed: PlacedPayload, dtype: DType, shape: Vec<u64>| {
            let place = (placed.payload, placed.digest, placed.raw_bytes);
            let version = version_of(spec, state, place, dtype, shape);
            let tier = placed.copy.as_ref().map(|copy| copy.tier);
            let atom = Atom::new(version, placed.copy, tier, Arc::clone(&store.inner.segments));
            Payload::stored(Arc::new(atom), store.read_mode)
        };
        let bytes = |placed: PlacedPayload| {
            let shape = vec![placed.raw_bytes];
            payload(placed, DType::U8, shape)
        };
        let dead = match row.tombstones {
            Some(placed) => read_bitmap(&bytes(placed))?,
            None => RoaringBitmap::new(),
        };
        let vectors = payload(row.vectors, spec.dtype, vec![state.rows, u64::from(spec.dim)]);
        let ids = payload(row.ids, DType::I64, vec![state.rows]);
        let part = PartView::of(state, [vectors, ids], row.companion.map(bytes), dead);
        let row_bytes = row_len_bytes(spec.dtype, spec.dim as usize) as u64;
        let lengths = (state.rows.checked_mul(row_bytes), state.rows.checked_mul(8));
        if lengths != (Some(part.vectors.len()), Some(part.ids.len())) || u32::try_from(state.rows).is_err() {
            let what = format!("part {} has payloads of other lengths than {} rows", state.part, state.rows);
            return Err(Error::corrupt(what).key(&spec.name));
        }
        Ok(part)
    }

    /// A part whose payloads are at hand.
    pub(super) fn of(
        state: PartState,
        [vectors, ids]: [Payload; 2],
        companion: Option<Payload>,
        dead: RoaringBitmap,
    ) -> Self {
        PartView { state, vectors, companion, dead, ids, ids_view: OnceLock::new() }
    }

    /// The same part with other rows deleted.
    pub(super) fn with_dead(&self, dead: RoaringBitmap) -> Self {
        let payloads = [self.vectors.clone(), self.ids.clone()];
        PartView { ids_view: self.ids_view.clone(), ..Self::of(self.state, payloads, self.companion.clone(), dead) }
    }

    /// Ids of the rows, ascending.
    pub(super) fn ids(&self) -> Result<&TensorView<i64>> {
        if let Some(ids) = self.ids_view.get() {
            return Ok(ids);
        }
        let ids = self.ids.view::<i64>()?;
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(Error::corrupt("the ids of a part do not ascend").key(&self.ids.info().key));
        }
        Ok(self.ids_view.get_or_init(|| ids))
    }

    pub(super) fn rows(&self) -> u32 {
        u32::try_from(self.state.rows).unwrap_or(u32::MAX) // checked in `open`
    }

    /// Rows that are not deleted.
    pub(super) fn live(&self) -> u64 {
        self.state.rows.saturating_sub(self.dead.len())
    }

    /// The row of an id, unless it is deleted.
    pub(super) fn find(&self, id: i64) -> Result<Option<u32>> {
        Ok(find(self.ids()?, &self.dead, id))
    }

    /// The vector of a row.
    fn vector(&self, row: u32) -> Result<Bytes> {
        self.vectors.rows(u64::from(row)..u64::from(row) + 1)
    }
}

/// A payload of a part, as a version of an atom that no catalog lists. `place`: number, digest, length in bytes.
pub(super) fn version_of(
    spec: &VectorSetSpec,
    state: PartState,
    (payload, digest, raw_bytes): (i64, Digest, u64),
    dtype: DType,
    shape: Vec<u64>,
) -> VersionRow {
    VersionRow {
        key: Key::from(format!("{} (part {})", spec.name, state.part)),
        lsn_from: state.lsn_from,
        lsn_to: None,
        payload,
        digest,
        raw_bytes,
        dtype,
        shape,
        encoding: Encoding::Plain,
        metadata: None,
        created_us: 0,
    }
}

/// The row of an id among ascending ids, unless it is deleted.
pub(super) fn find(ids: &[i64], dead: &RoaringBitmap, id: i64) -> Option<u32> {
    let row = ids.binary_search(&id).ok().and_then(|row| u32::try_from(row).ok())?;
    (!dead.contains(row)).then_some(row)
}

/// Which of some ascending ids are among ascending ids that are known, and not deleted: index and row.
pub(super) fn find_all<'a>(
    known: &'a [i64],
    dead: &'a RoaringBitmap,
    ids: &'a [i64],
) -> impl Iterator<Item = (usize, u32)> + 'a {
    // Most batches lie wholly behind what is there.
    let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(0));
    let start = known.partition_point(|&id| id < first);
    let window = &known[start..start + known[start..].partition_point(|&id| id <= last)];
    let wanted = if window.is_empty() { &[] } else { ids };
    wanted.iter().enumerate().filter_map(move |(index, id)| {
        let row = u32::try_from(start + window.binary_search(id).ok()?).ok()?;
        (!dead.contains(row)).then_some((index, row))
    })
}

/// A bitmap of rows as it is stored. Its bytes were verified, so nonsense is a mistake of the writer.
pub(super) fn read_bitmap(payload: &Payload) -> Result<RoaringBitmap> {
    let bytes = payload.bytes()?;
    RoaringBitmap::deserialize_from(&mut &*bytes)
        .map_err(|e| Error::corrupt("a bitmap of deleted rows cannot be read").source_box(e.into()))
}

impl VectorSnapshot {
    /// The set as it is at `lsn`, with parts taken from an earlier view where they are still the same.
    pub(super) fn load(store: &Store, row: VectorSetRow, lsn: u64, known: &[Arc<PartView>]) -> Result<Self> {
        let reader = store.inner.catalog.read()?;
        let mut parts = Vec::new();
        reader.consistently(|view| {
            for state in view.parts(row.spec.set, lsn.min(LATEST))? {
                let same = known.binary_search_by_key(&state.part, |part| part.state.part).map(|i| &known[i]);
                parts.push(match same {
                    Ok(part) if part.state == state => Arc::clone(part),
                    _ => Arc::new(PartView::open(store, &row.spec, state, view.part(row.spec.set, &state)?)?),
                });
            }
            Ok(())
        })?;
        Ok(VectorSnapshot { store: store.clone(), lsn, row, parts })
    }

    /// A set of parts that are at hand.
    pub(super) fn of(store: Store, lsn: u64, row: VectorSetRow, parts: Vec<Arc<PartView>>) -> Self {
        VectorSnapshot { store, lsn, row, parts }
    }

    pub(super) fn spec(&self) -> &VectorSetSpec {
        &self.row.spec
    }

    pub(super) fn parts(&self) -> &[Arc<PartView>] {
        &self.parts
    }

    /// Name of the set.
    pub fn name(&self) -> &str {
        &self.row.spec.name
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

    /// The newest commit this shows.
    pub fn lsn(&self) -> u64 {
        self.lsn
    }

    /// Number of vectors.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.live()).sum()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Facts and sums.
    pub fn info(&self) -> VectorSetInfo {
        let spec = &self.row.spec;
        let sum = |bytes: &dyn Fn(&PartView) -> u64| self.parts.iter().map(|part| bytes(part)).sum();
        VectorSetInfo {
            name: spec.name.clone(),
            dim: spec.dim as usize,
            dtype: spec.dtype,
            metric: spec.metric,
            created_lsn: self.row.lsn_from,
            vectors: self.len(),
            parts: self.parts.len() as u64,
            deleted_rows: sum(&|part| part.dead.len()),
            vector_bytes: sum(&|part| part.vectors.len()),
            id_bytes: sum(&|part| part.ids.len()),
            companion_bytes: sum(&|part| part.companion.as_ref().map_or(0, Payload::len)),
            companion_rows: sum(&|part| part.companion.as_ref().map_or(0, |_| part.state.rows)),
        }
    }

    /// Part and row of an id.
    fn find(&self, id: i64) -> Result<Option<(&PartView, u32)>> {
        for part in self.parts.iter().rev() {
            if let Some(row) = part.find(id).map_err(|e| e.key(self.name()))? {
                return Ok(Some((part, row)));
            }
        }
        Ok(None)
    }

    /// Whether there is a vector of this id. Reads ids only.
    pub fn contains(&self, id: i64) -> Result<bool> {
        Ok(self.find(id)?.is_some())
    }

    /// The largest id. Reads ids only.
    pub fn id_max(&self) -> Result<Option<i64>> {
        let last = |part: &PartView| -> Result<Option<i64>> {
            let row = (0..part.rows()).rev().find(|row| !part.dead.contains(*row));
            row.map(|row| Ok(part.ids()?[row as usize])).transpose()
        };
        let last = self.parts.iter().map(|part| last(part)).collect::<Result<Vec<_>>>();
        Ok(last.map_err(|e| e.key(self.name()))?.into_iter().flatten().max())
    }

    /// The ids of all vectors, in the order of [`Self::iter`]. Reads ids only.
    pub fn ids(&self) -> Result<Vec<i64>> {
        let read = || {
            let mut all = Vec::new();
            reserve(&mut all, usize::try_from(self.len()).unwrap_or(usize::MAX))?;
            for part in &self.parts {
                let ids = part.ids()?;
                all.extend((0..part.rows()).filter(|row| !part.dead.contains(*row)).map(|row| ids[row as usize]));
            }
            Ok(all)
        };
        read().map_err(|e: Error| e.during("list ids of").key(self.name()))
    }

    /// The vectors of some ids, in the same order; `None` where there is none. In mapped mode slices of the map.
    pub fn get(&self, ids: &[i64]) -> Result<Vec<Option<Bytes>>> {
        let read = || {
            let mut found = Vec::new();
            reserve(&mut found, ids.len())?;
            for &id in ids {
                found.push(self.find(id)?.map(|(part, row)| part.vector(row)).transpose()?);
            }
            Ok(found)
        };
        read().map_err(|e: Error| e.during("get vectors of").key(self.name()))
    }

    /// All vectors with their ids: part by part in the order they were added, ids ascending in each.
    pub fn iter(&self) -> impl Iterator<Item = Result<(i64, Bytes)>> + '_ {
        let row_bytes = row_len_bytes(self.dtype(), self.dim());
        let step = (ITERATION_BYTES / row_bytes.max(1)).max(1);
        let blocks = self.parts.iter().flat_map(move |part| {
            (0..part.rows()).step_by(step).map(move |start| (part, start..part.rows().min(start + step as u32)))
        });
        blocks.flat_map(move |(part, rows)| {
            let block = part.ids().and_then(|ids| {
                let bytes = part.vectors.rows(u64::from(rows.start)..u64::from(rows.end))?;
                let live = rows.clone().filter(|row| !part.dead.contains(*row));
                let vector = |row: u32| {
                    let at = (row - rows.start) as usize * row_bytes;
                    Ok((ids[row as usize], bytes.slice(at..at + row_bytes)?))
                };
                Ok(live.map(vector).collect::<Vec<Result<_>>>())
            });
            block.unwrap_or_else(|e| vec![Err(e)])
        })
    }

    /// The k nearest vectors of each query, nearest first, ties by id; fewer where there are fewer. Exact, whatever
    /// companions there are.
    ///
    /// Fails with `InvalidShape` when the dimension differs, `Unsupported` when the element types cannot be compared,
    /// `Cancelled`, and as reading does. Blocks; uses the store's threads.
    pub fn search(&self, queries: Rows<'_>, k: usize, options: &SearchOptions<'_>) -> Result<Vec<Vec<Neighbor>>> {
        let search = || {
            let parts = self.parts.iter().map(|part| self.search_part(part, options)).collect::<Result<_>>()?;
            let (dtype, dim, metric) = (self.dtype(), self.dim(), self.metric());
            let pool = self.store.inner.segments.pool()?;
            Corpus { dtype, dim, metric, parts }.search(queries, k, options, pool)
        };
        search().map_err(|e| e.during("search").key(self.name()))
    }

    fn search_part<'a>(&self, part: &'a PartView, options: &SearchOptions<'_>) -> Result<Part<'a>> {
        let companion = part.companion.as_ref().filter(|_| !options.full_scan);
        let open = |source: &'a Payload| Companion::open(source, part.state.rows, self.dim());
        Ok(Part {
            rows: part.rows(),
            vectors: &part.vectors,
            ids: Ids::Listed(part.ids()?.clone()),
            dead: Some(&part.dead),
            companion: companion.map(open).transpose()?,
        })
    }
}

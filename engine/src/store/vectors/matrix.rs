//! A stored tensor of two dimensions, searched where it lies: ids are row numbers.

use std::fmt;

use crate::bytes::Bytes;
use crate::control::Control;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Metric, Rows};
use crate::search::companion::{self, Companion};
use crate::search::elements::is_searchable;
use crate::search::filter::Ids;
use crate::search::{Corpus, Neighbor, Part, SearchOptions};

use super::super::Store;
use super::super::atom::{AtomInfo, Payload};
use super::super::snapshot::{Address, Snapshot};

/// A stored tensor seen as a set of vectors, one per row. Copies nothing.
#[derive(Clone)]
pub struct Matrix {
    store: Store,
    payload: Payload,
    rows: u32,
    dim: usize,
    metric: Metric,
    companion: Option<Bytes>,
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({} x {}, {})", self.rows, self.dim, self.metric)
    }
}

impl Snapshot {
    /// A tensor of two dimensions as a matrix to search in. Reads nothing of it yet. Fails with `NotFound`, with
    /// `InvalidShape` unless it has two dimensions, 1 to 2^32 - 1 elements per row and fewer than 2^32 rows, with
    /// `Unsupported` for element types that have no distances, and for quantised tensors.
    pub fn matrix<'k>(&self, key: impl Into<Address<'k>>, metric: Metric) -> Result<Matrix> {
        let address = key.into();
        let payload = self.get(address)?;
        Matrix::new(self.store().clone(), payload, metric).map_err(|e| e.during("search in").key(address.key))
    }
}

impl Matrix {
    fn new(store: Store, payload: Payload, metric: Metric) -> Result<Self> {
        let info = payload.info();
        if !is_searchable(info.dtype) || !info.encoding.is_plain() {
            let what = format!("no distances between vectors of {}", info.dtype);
            return Err(Error::new(ErrorKind::Unsupported, what).hint("plain f64 f32 f16 bf16 i8 u8 b1 are compared"));
        }
        let sizes = match info.shape[..] {
            [rows, dim] => u32::try_from(rows).ok().zip(u32::try_from(dim).ok().filter(|&dim| dim > 0)),
            _ => None,
        };
        let Some((rows, dim)) = sizes else {
            let what = format!("shape {} is not that of a matrix of vectors", info.shape_text());
            return Err(Error::new(ErrorKind::InvalidShape, what));
        };
        Ok(Matrix { store, rows, dim: dim as usize, metric, companion: None, payload })
    }

    /// Descriptor of the tensor.
    pub fn info(&self) -> &AtomInfo {
        self.payload.info()
    }

    /// Number of vectors.
    pub fn len(&self) -> u64 {
        u64::from(self.rows)
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Elements per vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.info().dtype
    }

    /// The vector of a row.
    pub fn get(&self, row: u64) -> Result<Bytes> {
        self.payload.rows(row..row.saturating_add(1))
    }

    /// Builds a companion in memory, which makes searches faster and is kept as long as this matrix and its clones:
    /// `dim` + 16 bytes per row. Reads the whole tensor. Does nothing for types that have none (i8, u8, b1).
    pub fn with_companion(mut self, control: &Control<'_>) -> Result<Self> {
        if companion::is_worthwhile(self.dtype(), self.dim) {
            control.check()?;
            let bytes = self.payload.bytes()?;
            let (dtype, dim) = (self.dtype(), self.dim);
            let built = self.store.inner.segments.pool()?.install(|| companion::build(dtype, dim, &bytes));
            self.companion = Some(Bytes::owned(built.map_err(|e| e.during("build a companion of"))?));
            control.check()?;
        }
        Ok(self)
    }

    /// The k nearest rows of each query, as [`VectorSnapshot::search`](super::VectorSnapshot::search).
    pub fn search(&self, queries: Rows<'_>, k: usize, options: &SearchOptions<'_>) -> Result<Vec<Vec<Neighbor>>> {
        let search = || {
            let open = |bytes| Companion::open(bytes, self.len(), self.dim);
            let part = Part {
                rows: self.rows,
                vectors: &self.payload,
                ids: Ids::Rows,
                dead: None,
                companion: self.companion.as_ref().map(|bytes| open(bytes)).transpose()?,
            };
            let corpus = Corpus { dtype: self.dtype(), dim: self.dim, metric: self.metric, parts: vec![part] };
            corpus.search(queries, k, options, self.store.inner.segments.pool()?)
        };
        search().map_err(|e| e.during("search in").key(&self.info().key))
    }
}

//! Exact k-nearest-neighbour search over matrices of vectors: any metric, one query or thousands, filters, all cores.
//!
//! Results are those of a full scan with [`crate::kernels`], bit for bit. A part that carries a companion (int8 codes with
//! error bounds, `companion.rs`) is scanned in that instead, at a quarter of the bytes or less: rows that a proven bound
//! excludes (`bound.rs`) are never looked at, the others are compared in full precision. Where the bound excludes too
//! little, the scan goes back to full precision, block by block.
//!
//! Knows matrices, not stores: where bytes come from is behind a trait (`source.rs`).
//!
//! ```
//! use tensoratom::kernels::{Metric, Rows};
//! use tensoratom::{DType, Options, SearchOptions, Store};
//! # fn main() -> tensoratom::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("models");
//! let store = Store::open_or_create(&path, &Options::new())?;
//! let words = store.vectors("words", 2, DType::F32, Metric::Cosine)?;
//! words.append(&[7, 8, 9], Rows::of(2, &[1.0_f32, 0.0, 0.0, 1.0, 0.6, 0.8])?)?;
//!
//! let found = words.search(Rows::of(2, &[0.0_f32, 2.0])?, 2, &SearchOptions::new())?;
//! assert_eq!(found[0].iter().map(|near| near.id).collect::<Vec<_>>(), [8, 9]);
//! # Ok(())
//! # }
//! ```

pub(crate) mod bound;
pub(crate) mod companion;
pub(crate) mod elements;
pub(crate) mod filter;
mod scan;
pub(crate) mod source;
mod topk;

use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use crate::control::Control;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Metric, Rows};

use companion::Companion;
use filter::Ids;
use source::ByteSource;

/// A vector found, with its exact distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbor {
    /// Id of the vector; for a stored tensor the number of its row.
    pub id: i64,
    /// Distance to the query as [`kernels::distance`](crate::kernels::distance) gives it. Smaller is nearer.
    pub distance: f64,
}

/// What a search takes besides queries and k.
#[derive(Clone, Debug, Default)]
pub struct SearchOptions<'a> {
    pub(crate) metric: Option<Metric>,
    pub(crate) allow: Option<Vec<i64>>,
    pub(crate) deny: Option<Vec<i64>>,
    pub(crate) id_range: Option<RangeInclusive<i64>>,
    pub(crate) distance_max: Option<f64>,
    pub(crate) threads: usize,
    pub(crate) full_scan: bool,
    pub(crate) control: Control<'a>,
}

impl<'a> SearchOptions<'a> {
    /// The set's own metric, no filter, all cores.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another metric than the set's own. Fails at the search with `Unsupported` where the element type has no such
    /// metric.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = Some(metric);
        self
    }

    /// Only these ids. Any order; ids that are not there are ignored.
    #[must_use]
    pub fn allow(mut self, ids: impl IntoIterator<Item = i64>) -> Self {
        self.allow = Some(sorted(ids));
        self
    }

    /// Not these ids.
    #[must_use]
    pub fn deny(mut self, ids: impl IntoIterator<Item = i64>) -> Self {
        self.deny = Some(sorted(ids));
        self
    }

    /// Only ids in this range.
    #[must_use]
    pub fn id_range(mut self, range: RangeInclusive<i64>) -> Self {
        self.id_range = Some(range);
        self
    }

    /// Nothing farther away than this, and nothing whose distance is NaN. NaN itself excludes everything. A least score is
    /// a largest distance: of an inner product `s` it is `-s`, of a cosine similarity `1 - s`.
    #[must_use]
    pub fn distance_max(mut self, distance: f64) -> Self {
        self.distance_max = Some(distance);
        self
    }

    /// At most so many threads; 0 takes all the store has. Results do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Compares every vector in full precision, companion or not. The results are the same; for measurements.
    #[must_use]
    pub fn full_scan(mut self, full: bool) -> Self {
        self.full_scan = full;
        self
    }

    /// Progress (bytes of the matrices passed, in blocks) and cancellation.
    #[must_use]
    pub fn control(mut self, control: Control<'a>) -> Self {
        self.control = control;
        self
    }
}

fn sorted(ids: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut ids: Vec<i64> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Matrices that are searched together. No id occurs twice among the rows that are not dead.
pub(crate) struct Corpus<'a> {
    pub(crate) dtype: DType,
    pub(crate) dim: usize,
    pub(crate) metric: Metric,
    pub(crate) parts: Vec<Part<'a>>,
}

/// One matrix of contiguous rows.
pub(crate) struct Part<'a> {
    pub(crate) rows: u32,
    pub(crate) vectors: &'a dyn ByteSource,
    pub(crate) ids: Ids,
    pub(crate) dead: Option<&'a RoaringBitmap>,
    pub(crate) companion: Option<Companion<'a>>,
}

impl Corpus<'_> {
    /// The k nearest vectors of each query, nearest first; fewer where there are fewer. Runs on `pool`, or on the calling
    /// thread alone if the options ask for one thread.
    pub(crate) fn search(
        &self,
        queries: Rows<'_>,
        k: usize,
        options: &SearchOptions<'_>,
        pool: &rayon::ThreadPool,
    ) -> Result<Vec<Vec<Neighbor>>> {
        if queries.dim() != self.dim {
            let what = format!("queries of {} elements for vectors of {}", queries.dim(), self.dim);
            return Err(Error::new(ErrorKind::InvalidShape, what));
        }
        let metric = options.metric.unwrap_or(self.metric);
        check_types(metric, queries.dtype(), self.dtype)?;
        scan::search(self, metric, queries, k, options, pool)
    }
}

/// Fails with `Unsupported` where the kernels do not compare these types, before anything is read.
fn check_types(metric: Metric, query: DType, data: DType) -> Result<()> {
    let zeros = [0; 8];
    let one = |dtype: DType| Rows::new(dtype, 1, 1, &zeros[..elements::row_len_bytes(dtype, 1).min(8)]);
    crate::kernels::distance(metric, one(query)?, one(data)?).map(drop).map_err(|e| {
        let what = format!("queries of {query} cannot be compared with vectors of {data} by {metric}");
        Error::new(ErrorKind::Unsupported, what).source_box(e.into())
    })
}

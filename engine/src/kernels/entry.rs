//! One vector against rows: a function per pair of types, metric and instruction set, found by one look-up.

use std::marker::PhantomData;
use std::sync::OnceLock;

use super::bits::{Bits, Differ, Jaccard};
use super::dispatch::{self, Present};
use super::distance::cosine;
use super::tile::{self, AbsDiff, Arith, Format, Mul, Op, SqDiff, tile};
use super::vector::{Isa, Kernel};
use super::{Metric, Rows};
use crate::dtype::DType;

/// Distances of a vector to rows: `(query, rows, stride in bytes, rows, dimension, places)`. Gives the last one as well.
///
/// NaN where sums left the range of the fast path, and where the distance is NaN. [`Metric::Euclidean`] is left squared.
pub(super) type Entry = unsafe fn(*const u8, *const u8, usize, usize, usize, *mut f64) -> f64;

/// Code behind an [`Entry`], compiled once per instruction set.
pub(super) trait Scan {
    /// # Safety
    /// `dim` elements of the query's format are readable at `query`; the same of the data's format at each of `count`
    /// rows, `stride` bytes apart from `rows` on; `count` places can be written from `out` on.
    unsafe fn run<I: Isa>(
        isa: I,
        query: *const u8,
        rows: *const u8,
        stride: usize,
        count: usize,
        dim: usize,
        out: *mut f64,
    ) -> f64;
}

/// A pair of vectors of one type, ready for the call that gives their distance.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    entry: Entry,
    pub(super) dim: usize,
    pub(super) a: &'a [u8],
    pub(super) b: &'a [u8],
}

impl<'a> Pair<'a> {
    /// None where it takes more than one look-up and a call, or the entry was not yet looked for ([`prepare`]).
    #[inline(always)]
    pub(super) fn new(metric: Metric, a: &Rows<'a>, b: &Rows<'a>) -> Option<Self> {
        let entry = *place_of(a.dtype(), metric)?.get()?;
        if a.dtype() != b.dtype() || a.dim() != b.dim() {
            return None;
        }
        Some(Pair { entry, dim: a.dim(), a: a.only_row()?, b: b.only_row()? })
    }

    /// What the [`Entry`] gives.
    #[inline(always)]
    pub(super) fn value(self) -> f64 {
        let mut place = 0.0;
        // SAFETY: the entry is the one for the type of both, of which `dim` elements are readable at the starts of these
        // rows; one place is there for one row.
        unsafe { (self.entry)(self.a.as_ptr(), self.b.as_ptr(), 0, 1, self.dim, &raw mut place) }
    }
}

/// Looks for the entry of pairs of this type, which later calls find.
pub(super) fn prepare(dtype: DType, metric: Metric) {
    let Some(place) = place_of(dtype, metric).filter(|place| place.get().is_none()) else { return };
    if let Some(entry) = find(dispatch::present(), dtype, dtype, metric) {
        place.get_or_init(|| entry);
    }
}

#[inline(always)]
fn place_of(dtype: DType, metric: Metric) -> Option<&'static OnceLock<Entry>> {
    static PAIRS: [[OnceLock<Entry>; METRICS]; TYPES] = [const { [const { OnceLock::new() }; METRICS] }; TYPES];
    PAIRS.get(usize::from(dtype.number()))?.get(usize::from(metric.number()))
}

/// Places for the numbers of all types and metrics; what had none would only be slower.
const TYPES: usize = 18;
const METRICS: usize = 8;

/// What an [`Entry`] gives for one vector and all rows of `data`. False, and nothing done, where there is no entry for the
/// types or sizes differ.
pub(super) fn scan(isa: Present, metric: Metric, query: &Rows<'_>, data: &Rows<'_>, out: &mut [f64]) -> bool {
    let fits = query.rows() == 1 && query.dim() == data.dim() && out.len() == data.rows();
    let Some(entry) = find(isa, query.dtype(), data.dtype(), metric).filter(|_| fits) else { return false };
    if data.rows() > 0 {
        let (query, rows) = (query.start(0), data.start(0));
        // SAFETY: the entry is the one for these types; every row of `Rows` has `dim` readable elements, `stride_bytes`
        // after the one before; there are as many places as rows.
        unsafe { entry(query, rows, data.stride_bytes(), data.rows(), data.dim(), out.as_mut_ptr()) };
    }
    true
}

/// True for types between which there are distances.
pub(super) fn exists(query: DType, data: DType) -> bool {
    find(dispatch::present(), query, data, Metric::Dot).is_some()
}

fn find(isa: Present, query: DType, data: DType, metric: Metric) -> Option<Entry> {
    isa.run(Find { query, data, metric })
}

struct Find {
    query: DType,
    data: DType,
    metric: Metric,
}

impl Kernel for Find {
    type Output = Option<Entry>;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Option<Entry> {
        macro_rules! sums {
            ($a:ident, $b:ident) => {
                sums!($a, $b, entry)
            };
            ($a:ident, $b:ident, $entry:ident) => {
                match self.metric {
                    Metric::Dot => isa.$entry::<Sums<tile::$a, tile::$b, Mul, Minus, false, false>>(),
                    Metric::Cosine => isa.$entry::<Sums<tile::$a, tile::$b, Mul, Cosine, true, true>>(),
                    Metric::SqEuclidean | Metric::Euclidean => {
                        isa.$entry::<Sums<tile::$a, tile::$b, SqDiff, Squares, false, false>>()
                    }
                    Metric::Manhattan => isa.$entry::<Sums<tile::$a, tile::$b, AbsDiff, Plain, false, false>>(),
                    Metric::Hamming | Metric::Jaccard => return None,
                }
            };
        }
        Some(match (self.query, self.data) {
            (DType::F32, DType::F32) => sums!(F32, F32),
            (DType::F16, DType::F16) => sums!(F16, F16, narrow_entry),
            (DType::Bf16, DType::Bf16) if self.metric == Metric::Cosine => {
                isa.bf16_entry::<Sums<tile::Bf16Pairs, tile::Bf16Pairs, Mul, Cosine, true, true>>()
            }
            (DType::Bf16, DType::Bf16) if matches!(self.metric, Metric::SqEuclidean | Metric::Euclidean) => {
                isa.bf16_entry::<Sums<tile::Bf16Twice, tile::Bf16Twice, SqDiff, Squares, false, false>>()
            }
            (DType::Bf16, DType::Bf16) => sums!(Bf16Split, Bf16Split),
            (DType::F64, DType::F64) => sums!(F64, F64),
            (DType::F32, DType::F16) => sums!(F32, F16),
            (DType::F32, DType::Bf16) => sums!(F32, Bf16),
            (DType::F32, DType::I8) => sums!(F32, I8AsF32),
            (DType::I8, DType::I8) if self.metric == Metric::Dot => {
                isa.entry::<Sums<tile::I8Plain, tile::I8Raised, Mul, MinusRaised, true, false>>()
            }
            (DType::I8, DType::I8) if matches!(self.metric, Metric::SqEuclidean | Metric::Euclidean) => {
                isa.entry::<Sums<tile::I8Plain, tile::I8Plain, SqDiff, Exact, false, false>>()
            }
            (DType::I8, DType::I8) => sums!(I8, I8),
            (DType::U8, DType::U8) => sums!(U8, U8),
            (DType::B1, DType::B1) => match self.metric {
                Metric::Dot => isa.entry::<Bits<Minus>>(),
                Metric::Cosine => isa.entry::<Bits<Cosine>>(),
                Metric::Jaccard => isa.entry::<Bits<Jaccard>>(),
                _ => isa.entry::<Bits<Differ>>(),
            },
            _ => return None,
        })
    }
}

/// Makes a distance of sums, or NaN where they do not suffice.
pub(super) trait Finish {
    /// Of the sum of a pair, and those of its query and its row with itself (zeros where they were not asked for). A sum
    /// of squares below `least` may have lost more than its rounding error.
    fn finish(least: f64, ab: f64, aa: f64, bb: f64) -> f64;
}

macro_rules! finishes {
    ($($(#[$doc:meta])* $name:ident: |$least:ident, $ab:ident, $aa:ident, $bb:ident| $distance:expr;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;
            impl Finish for $name {
                #[inline(always)]
                fn finish($least: f64, $ab: f64, $aa: f64, $bb: f64) -> f64 {
                    $distance
                }
            }
        )*
    };
}

finishes! {
    /// Of whole numbers.
    Exact: |_least, ab, _aa, _bb| ab;
    Plain: |_least, ab, _aa, _bb| ab + nan_unless_finite(ab);
    Minus: |_least, ab, _aa, _bb| 0.0 - ab + nan_unless_finite(ab);
    /// Of rows raised by 128, and the sum of the query.
    MinusRaised: |_least, ab, sum, _bb| 128.0 * sum - ab;
    Squares: |least, ab, _aa, _bb| if ab >= least { ab + nan_unless_finite(ab) } else { f64::NAN };
    Cosine: |least, ab, aa, bb| {
        let check = nan_unless_finite(aa) + nan_unless_finite(bb) + nan_unless_finite(ab);
        if aa >= least && bb >= least { cosine(ab, aa, bb) + check } else { f64::NAN }
    };
}

/// 0 of a finite number. Two choices by conditions cost a short pair more than all its multiplications.
#[inline(always)]
#[allow(clippy::eq_op)] // which is NaN of infinities and NaN, and the point
fn nan_unless_finite(x: f64) -> f64 {
    x - x
}

/// Sums by `O`, finished by `F`, which needs those of the query with itself if `QUERY` and of each row with itself if `ROW`.
struct Sums<A, B, O, F, const QUERY: bool, const ROW: bool>(PhantomData<(A, B, O, F)>);

/// Fewer rows than these are taken one after the other.
const STREAMED_ROWS_MIN: usize = 16;
/// How far apart rows that are read at once lie, about. Two megabytes and a tenth of it cost a twentieth of the speed.
const STREAM_BYTES: usize = 768 << 10;
/// Streams that come to the end of a page together are a tenth faster than such that come there in turns.
const PAGE_BITS: u32 = 12;

impl<A, B, O, F, const QUERY: bool, const ROW: bool> Scan for Sums<A, B, O, F, QUERY, ROW>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
    F: Finish,
{
    #[inline(always)]
    unsafe fn run<I: Isa>(
        isa: I,
        query: *const u8,
        rows: *const u8,
        stride: usize,
        count: usize,
        dim: usize,
        out: *mut f64,
    ) -> f64 {
        let (mut aa, mut value) = (0.0, 0.0);
        let mut r = 0;
        while r < count {
            let row = rows.wrapping_add(r.wrapping_mul(stride));
            let (ab, bb);
            // Where rows are streamed few are left for this loop, and one form of it is less code.
            if QUERY && (r == 0 || I::TWO_ROWS) {
                // SAFETY: the caller promises `dim` elements of these formats at both.
                let (sums, own, query_own) = unsafe { tile::<I, A, B, O, 1, 1, ROW, true>(isa, [query], [row], dim) };
                (ab, bb, aa) = (sums[0][0], own[0], query_own[0]);
            } else {
                // SAFETY: as above.
                let (sums, own, _) = unsafe { tile::<I, A, B, O, 1, 1, ROW, false>(isa, [query], [row], dim) };
                (ab, bb) = (sums[0][0], own[0]);
            }
            value = F::finish(A::Arith::SQUARES_MIN, ab, aa, bb);
            // SAFETY: the caller promises a place for every row below `count`.
            unsafe { out.wrapping_add(r).write(value) };
            r += 1;
            if r == 1 && I::TWO_ROWS && count >= STREAMED_ROWS_MIN {
                let rows = rows.wrapping_add(stride);
                let streams = Streams { query, rows, stride, count: count - 1, dim, out: out.wrapping_add(1), aa };
                // SAFETY: these are the rows and places that the caller promises, but for the first.
                r += unsafe { streams.run::<I, A, B, O, F, ROW>(isa) };
            }
        }
        value
    }
}

/// Rows to be read in several places at once.
///
/// The processor's own prefetching follows each stream of reads to the end of a page and takes its time to begin anew. One
/// row after the other so reaches three quarters of the speed of a plain sum (whose reads are narrower, and so fewer at a
/// time), rows next to one another at once less than half, and four rows [`STREAM_BYTES`] apart, at the same places of their
/// pages, more than the plain sum; requests in advance were slower than these at every distance (Zen 4).
struct Streams {
    query: *const u8,
    rows: *const u8,
    stride: usize,
    count: usize,
    dim: usize,
    out: *mut f64,
    /// The sum of the query with itself.
    aa: f64,
}

impl Streams {
    /// Takes as many rows as fill groups of four streams of equal length; gives how many these are.
    ///
    /// # Safety
    /// As for [`Scan::run`].
    #[inline(always)]
    unsafe fn run<I, A, B, O, F, const ROW: bool>(self, isa: I) -> usize
    where
        I: Isa,
        A: Format,
        B: Format<Arith = A::Arith>,
        O: Op<A::Arith>,
        F: Finish,
    {
        const R: usize = 4;
        let len_max = (STREAM_BYTES / self.stride.max(1)).max(1);
        // After so many rows one starts at the same place of a page again.
        let turn = 1 << (PAGE_BITS - self.stride.trailing_zeros().min(PAGE_BITS));
        let len_of = |rows: usize| {
            let len = len_max.min(rows / R);
            // Not where much would be left over: few rows lie next to one another.
            if len % turn > len / 32 { len } else { len - len % turn }
        };
        let (mut r, mut done, mut len) = (0, 0, len_of(self.count));
        while len > 0 {
            let mut at = [self.rows; R];
            for (k, at) in at.iter_mut().enumerate() {
                *at = self.rows.wrapping_add((r + k * len).wrapping_mul(self.stride));
            }
            // SAFETY: `r` is one of `len` rows from `done` on, and `R * len` from there are at most `count`: the caller
            // promises these rows.
            let (sums, own, _) = unsafe { tile::<I, A, B, O, 1, R, ROW, false>(isa, [self.query], at, self.dim) };
            for k in 0..R {
                let value = F::finish(A::Arith::SQUARES_MIN, sums[0][k], self.aa, own[k]);
                // SAFETY: as above, these places.
                unsafe { self.out.wrapping_add(r + k * len).write(value) };
            }
            r += 1;
            if r == done + len {
                done += R * len;
                r = done;
                len = len_of(self.count - done);
            }
        }
        done
    }
}

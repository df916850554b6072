//! One vector against rows: a function per pair of types, metric and instruction set, found by one look-up.

use std::marker::PhantomData;
use std::sync::OnceLock;

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

/// Distance of two vectors of one type; none where it takes more than one look-up and a call.
#[inline(always)]
pub(super) fn pair(metric: Metric, a: &Rows<'_>, b: &Rows<'_>) -> Option<f64> {
    static TABLE: OnceLock<[[Option<Entry>; METRICS]; TYPES]> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = [[None; METRICS]; TYPES];
        for &dtype in DType::ALL {
            for &metric in Metric::ALL {
                let row = table.get_mut(usize::from(dtype.number()));
                let place = row.and_then(|row| row.get_mut(usize::from(metric.number())));
                if let Some(place) = place {
                    *place = find(dispatch::present(), dtype, dtype, metric);
                }
            }
        }
        table
    });
    let entry = (*table.get(usize::from(a.dtype().number()))?.get(usize::from(metric.number()))?)?;
    if a.dtype() != b.dtype() || a.rows() != 1 || b.rows() != 1 || a.dim() != b.dim() {
        return None;
    }
    let mut place = 0.0;
    // SAFETY: the entry is the one for the type of both, whose only rows have `dim` readable elements each; one place is
    // there for one row.
    let value = unsafe { entry(a.start(0), b.start(0), 0, 1, a.dim(), &raw mut place) };
    if value.is_nan() {
        return None;
    }
    Some(if metric == Metric::Euclidean { value.sqrt() } else { value })
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
                Metric::Dot => isa.entry::<Bits<Minus, false>>(),
                Metric::Cosine => isa.entry::<Bits<Cosine, false>>(),
                Metric::Jaccard => isa.entry::<Bits<Jaccard, false>>(),
                _ => isa.entry::<Bits<Exact, true>>(),
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
        let usable = aa >= least && aa.is_finite() && bb >= least && bb.is_finite() && ab.is_finite();
        if usable { cosine(ab, aa, bb) } else { f64::NAN }
    };
    /// Of bits.
    Jaccard: |_least, both, a, b| jaccard(both, a + b - both);
}

/// 0 of a finite number. Two choices by conditions cost a short pair more than all its multiplications.
#[inline(always)]
#[allow(clippy::eq_op)] // which is NaN of infinities and NaN, and the point
fn nan_unless_finite(x: f64) -> f64 {
    x - x
}

/// `1 - both / either`; 0 of nothing.
pub(super) fn jaccard(both: f64, either: f64) -> f64 {
    if either == 0.0 { 0.0 } else { 1.0 - both / either }
}

/// Sums by `O`, finished by `F`, which needs those of the query with itself if `QUERY` and of each row with itself if `ROW`.
struct Sums<A, B, O, F, const QUERY: bool, const ROW: bool>(PhantomData<(A, B, O, F)>);

/// Fewer rows than these are taken one after the other.
const STREAMED_ROWS_MIN: usize = 16;

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
                r += if ROW {
                    // SAFETY: these are the rows and places that the caller promises, but for the first.
                    unsafe { streams.run::<I, A, B, O, F, ROW, 3>(isa) }
                } else {
                    // SAFETY: as above.
                    unsafe { streams.run::<I, A, B, O, F, ROW, 4>(isa) }
                };
            }
        }
        value
    }
}

/// Rows to be read in several places at once.
///
/// The processor's own prefetching follows each stream of reads to the end of a page and takes its time to begin anew. One
/// row after the other so reaches three quarters of the speed of a plain sum (whose reads are narrower, and so fewer at a
/// time), rows next to one another at once less than half, and four rows some hundred KiB apart more than the plain sum;
/// requests in advance were slower than these at every distance (Zen 4).
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
    /// Takes as many rows as fill `R` streams of equal length; gives how many these are.
    ///
    /// # Safety
    /// As for [`Scan::run`].
    #[inline(always)]
    unsafe fn run<I, A, B, O, F, const ROW: bool, const R: usize>(self, isa: I) -> usize
    where
        I: Isa,
        A: Format,
        B: Format<Arith = A::Arith>,
        O: Op<A::Arith>,
        F: Finish,
    {
        let len = self.count / R;
        for r in 0..len {
            let mut at = [self.rows; R];
            for (k, at) in at.iter_mut().enumerate() {
                *at = self.rows.wrapping_add((r + k * len).wrapping_mul(self.stride));
            }
            // SAFETY: `r + k * len` is below `R * len`, which is at most `count`: the caller promises these rows.
            let (sums, own, _) = unsafe { tile::<I, A, B, O, 1, R, ROW, false>(isa, [self.query], at, self.dim) };
            for k in 0..R {
                let value = F::finish(A::Arith::SQUARES_MIN, sums[0][k], self.aa, own[k]);
                // SAFETY: as above, these places.
                unsafe { self.out.wrapping_add(r + k * len).write(value) };
            }
        }
        R * len
    }
}

/// Counts of the bits set in both, or that differ if `XOR`, finished by `F`. Exact, so that their order is free.
struct Bits<F, const XOR: bool>(PhantomData<F>);

impl<F: Finish, const XOR: bool> Scan for Bits<F, XOR> {
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
        let mut value = 0.0;
        let mut r = 0;
        while r < count {
            let row = rows.wrapping_add(r.wrapping_mul(stride));
            // SAFETY: the caller promises `dim` bits at both.
            value = unsafe { Self::row(isa, query, row, dim) };
            // SAFETY: the caller promises a place for every row below `count`.
            unsafe { out.wrapping_add(r).write(value) };
            r += 1;
        }
        value
    }
}

impl<F: Finish, const XOR: bool> Bits<F, XOR> {
    /// # Safety
    /// `dim` bits are readable at both.
    #[inline(always)]
    unsafe fn row<I: Isa>(isa: I, query: *const u8, row: *const u8, dim: usize) -> f64 {
        let whole = dim / 8;
        let (mut both, mut own_a, mut own_b) = (isa.u64_zero(), isa.u64_zero(), isa.u64_zero());
        let mut count = |a: I::Bytes, b: I::Bytes| {
            both = isa.u64_count(both, if XOR { isa.bytes_xor(a, b) } else { isa.bytes_and(a, b) });
            own_a = isa.u64_count(own_a, a);
            own_b = isa.u64_count(own_b, b);
        };
        let mut at = 0;
        while at + I::BYTES <= whole {
            // SAFETY: so many bytes are readable there: `at + BYTES` is at most those of `dim` elements.
            let a = unsafe { isa.load(query.wrapping_add(at)) };
            // SAFETY: as above.
            let b = unsafe { isa.load(row.wrapping_add(at)) };
            count(a, b);
            at += I::BYTES;
        }
        if at < whole {
            // SAFETY: what is left below `whole` is readable, and less than a register.
            let a = unsafe { isa.load_part(query.wrapping_add(at), whole - at) };
            // SAFETY: as above.
            let b = unsafe { isa.load_part(row.wrapping_add(at), whole - at) };
            count(a, b);
        }
        let (mut both, mut own_a, mut own_b) = (isa.u64_sum(both), isa.u64_sum(own_a), isa.u64_sum(own_b));
        if !dim.is_multiple_of(8) {
            // Bits behind the last element are anything.
            let last = (1_u8 << (dim % 8)) - 1;
            // SAFETY: where `dim` is no multiple of 8 there is a byte behind the whole ones.
            let a = unsafe { query.wrapping_add(whole).read() } & last;
            // SAFETY: as above.
            let b = unsafe { row.wrapping_add(whole).read() } & last;
            both += u64::from(if XOR { a ^ b } else { a & b }.count_ones());
            own_a += u64::from(a.count_ones());
            own_b += u64::from(b.count_ones());
        }
        F::finish(0.0, both as i64 as f64, own_a as i64 as f64, own_b as i64 as f64)
    }
}

//! Tiles over matrices: all queries with a panel of rows, in an order that keeps a query in registers and rows in cache.

use std::marker::PhantomData;

use super::Rows;
use super::tile::{Format, Op, tile};
use super::vector::{Isa, Kernel};

/// How sums are stored.
pub(super) trait Sum: Copy {
    fn from_sum(sum: f64) -> Self;
}

impl Sum for f64 {
    #[inline(always)]
    fn from_sum(sum: f64) -> f64 {
        sum
    }
}

impl Sum for i32 {
    /// The lowest 32 bits of a whole number.
    #[inline(always)]
    fn from_sum(sum: f64) -> i32 {
        sum as i64 as i32
    }
}

/// Rows that stay in the second-level cache while every query passes over them.
pub(super) fn panel_rows(data: &Rows<'_>) -> usize {
    const PANEL_BYTES: usize = 256 << 10;
    const ROWS_MIN: usize = 8;
    // Few rows need no division.
    if data.rows() <= ROWS_MIN { ROWS_MIN } else { (PANEL_BYTES / data.stride_bytes().max(1)).clamp(ROWS_MIN, 4096) }
}

/// Where the sums of queries and rows go.
pub(super) struct Sums<'a, 'o, A, B, O, T> {
    queries: Rows<'a>,
    data: Rows<'a>,
    /// From the place of the first query and the first row of `data` on.
    out: &'o mut [T],
    /// Places from one query to the next.
    out_stride: usize,
    what: PhantomData<(A, B, O)>,
}

impl<'a, 'o, A, B, O, T> Sums<'a, 'o, A, B, O, T>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
    T: Sum,
{
    /// `out[q * out_stride + first + r]` is the place of query `q` and row `r`.
    pub(super) fn new(queries: Rows<'a>, data: Rows<'a>, out: &'o mut [T], first: usize, out_stride: usize) -> Self {
        Sums { queries, data, out: &mut out[first..], out_stride, what: PhantomData }
    }

    /// Queries `q..q + Q` against as many of the rows from `r` on as fill tiles of `R`; the sums of the rows with
    /// themselves go to `norms` if `NORMS`. Gives the first row left.
    #[inline(always)]
    fn sweep<I: Isa, const Q: usize, const R: usize, const NORMS: bool>(
        &mut self,
        isa: I,
        q: usize,
        r: usize,
        norms: &mut [f64],
    ) -> usize {
        let mut r = r;
        while r + R <= self.data.rows() {
            let queries = std::array::from_fn(|k| self.queries.start(q + k));
            let rows = std::array::from_fn(|k| self.data.start(r + k));
            // SAFETY: `q + Q` and `r + R` are at most the numbers of rows; every row of `Rows` has `dim` readable
            // elements; both matrices have the same dimension; A and B are the formats of their types.
            let (sums, row_norms, _) =
                unsafe { tile::<I, A, B, O, Q, R, NORMS, false>(isa, queries, rows, self.data.dim()) };
            for (k, sums) in sums.iter().enumerate() {
                let place = (q + k) * self.out_stride + r;
                for (place, &sum) in self.out[place..place + R].iter_mut().zip(sums) {
                    *place = T::from_sum(sum);
                }
            }
            if NORMS {
                norms[r..r + R].copy_from_slice(&row_norms);
            }
            r += R;
        }
        r
    }
}

/// The raw sums of all queries with some rows.
pub(super) struct Panel<'a, 'o, A, B, O, T>(pub(super) Sums<'a, 'o, A, B, O, T>);

impl<A, B, O, T> Kernel for Panel<'_, '_, A, B, O, T>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
    T: Sum,
{
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Panel(mut sums) = self;
        let queries = sums.queries.rows();
        let mut q = 0;
        while q < queries {
            // Tiles are long code that is compiled for every type, metric and instruction set: one shape for the bulk and
            // one for what is left, each in one place.
            let (mut next, mut r) = (q + 1, 0);
            if I::TWO_QUERIES && q + 2 <= queries {
                next = q + 2;
                r = match I::TWO_ROWS {
                    true => sums.sweep::<I, 2, 2, false>(isa, q, 0, &mut []),
                    false => sums.sweep::<I, 2, 1, false>(isa, q, 0, &mut []),
                };
            }
            while q < next {
                // Row after row: one stream is what the processor's own prefetching follows best (two or four rows at once
                // were measured at half the speed on memory, requests 1 to 4 KiB ahead at three quarters; Zen 4).
                sums.sweep::<I, 1, 1, false>(isa, q, r, &mut []);
                q += 1;
            }
        }
    }
}

/// The raw sums of the first query with some rows, and those of each row with itself.
pub(super) struct PanelOfNorms<'a, 'o, A, B, O, T> {
    pub(super) sums: Sums<'a, 'o, A, B, O, T>,
    /// A place for each row.
    pub(super) norms: &'o mut [f64],
}

impl<A, B, O, T> Kernel for PanelOfNorms<'_, '_, A, B, O, T>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
    T: Sum,
{
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        if self.sums.queries.rows() > 0 {
            self.sums.sweep::<I, 1, 1, true>(isa, 0, 0, self.norms);
        }
    }
}

/// The raw sum of one pair, and those of each with itself if `NORMS`: what [`Panel`] gives, without its preparations.
pub(super) struct Pair<'a, A, B, O, const NORMS: bool> {
    a: *const u8,
    b: *const u8,
    dim: usize,
    what: PhantomData<(&'a [u8], A, B, O)>,
}

impl<'a, A, B, O, const NORMS: bool> Pair<'a, A, B, O, NORMS> {
    /// Of the first rows of two matrices that have one each, of the types of the formats, and the same dimension.
    pub(super) fn new(a: &Rows<'a>, b: &Rows<'a>) -> Self {
        Pair { a: a.start(0), b: b.start(0), dim: a.dim(), what: PhantomData }
    }
}

impl<A, B, O, const NORMS: bool> Kernel for Pair<'_, A, B, O, NORMS>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
{
    type Output = (f64, f64, f64);

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> (f64, f64, f64) {
        // SAFETY: each of the two has a row, whose `dim` elements are readable; dimensions and formats agree.
        let (sums, b, a) = unsafe { tile::<I, A, B, O, 1, 1, NORMS, NORMS>(isa, [self.a], [self.b], self.dim) };
        (sums[0][0], a[0], b[0])
    }
}

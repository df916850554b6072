//! Tiles over matrices: two queries at once with a panel of rows, in an order that keeps queries in registers and rows in
//! cache. What does not fill tiles is left to [`super::entry`].

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

/// Rows to be worked on at a time. Of several queries each passes over them, so that they should stay in the second-level
/// cache; of one, what was computed of them.
pub(super) fn panel_rows(queries: usize, data: &Rows<'_>) -> usize {
    const PANEL_BYTES: usize = 256 << 10;
    const SINGLE_BYTES: usize = 16 << 20;
    let bytes = if queries == 1 { SINGLE_BYTES } else { PANEL_BYTES };
    (bytes / data.stride_bytes().max(1)).clamp(8, 1 << 14)
}

/// The raw sums of as many queries and rows as fill tiles; gives how many of each these are, from the first on.
pub(super) struct Tiles<'a, 'o, A, B, O, T> {
    queries: Rows<'a>,
    data: Rows<'a>,
    /// From the place of the first query and the first row of `data` on.
    out: &'o mut [T],
    /// Places from one query to the next.
    out_stride: usize,
    what: PhantomData<(A, B, O)>,
}

impl<'a, 'o, A, B, O, T> Tiles<'a, 'o, A, B, O, T>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
    T: Sum,
{
    /// `out[q * out_stride + first + r]` is the place of query `q` and row `r`. Both matrices have the same dimension,
    /// and the types of the formats.
    pub(super) fn new(queries: Rows<'a>, data: Rows<'a>, out: &'o mut [T], first: usize, out_stride: usize) -> Self {
        Tiles { queries, data, out: &mut out[first..], out_stride, what: PhantomData }
    }

    /// Two queries against as many rows as fill tiles of `R`, which lie apart (see [`super::entry`]). Gives the first row left.
    #[inline(always)]
    fn sweep<I: Isa, const R: usize>(&mut self, isa: I, q: usize) -> usize {
        let len = self.data.rows() / R;
        for r in 0..len {
            let queries = [self.queries.start(q), self.queries.start(q + 1)];
            let rows = std::array::from_fn(|k| self.data.start(r + k * len));
            // SAFETY: `q + 2` and `R * len` are at most the numbers of rows; every row of `Rows` has `dim` readable
            // elements; both matrices have the same dimension; A and B are the formats of their types.
            let (sums, ..) = unsafe { tile::<I, A, B, O, 2, R, false, false>(isa, queries, rows, self.data.dim()) };
            for (k, sums) in sums.iter().enumerate() {
                for (i, &sum) in sums.iter().enumerate() {
                    self.out[(q + k) * self.out_stride + r + i * len] = T::from_sum(sum);
                }
            }
        }
        R * len
    }
}

impl<A, B, O, T> Kernel for Tiles<'_, '_, A, B, O, T>
where
    A: Format,
    B: Format<Arith = A::Arith>,
    O: Op<A::Arith>,
    T: Sum,
{
    type Output = (usize, usize);

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) -> (usize, usize) {
        let (mut q, mut r) = (0, 0);
        while I::TWO_QUERIES && q + 2 <= self.queries.rows() {
            r = if I::TWO_ROWS { self.sweep::<I, 2>(isa, q) } else { self.sweep::<I, 1>(isa, q) };
            q += 2;
        }
        (q, r)
    }
}

//! Distances of a pair, of one vector to many, and of many to many.

use std::ops::Range;

use half::{bf16, f16};

use super::dispatch::{self, Present};
use super::panel::{Pair, Panel, PanelOfNorms, Sums, panel_rows};
use super::tile::{self, AbsDiff, Format, Mul, Op, SqDiff};
use super::vector::{Isa, Kernel};
use super::{Metric, Rows, wide};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};

/// Distance of two vectors, each a matrix of one row.
///
/// Types: both of one of f64 f32 f16 bf16 i8 u8 b1, or `a` of f32 and `b` of f16, bf16 or i8; others are
/// `Unsupported`. Lengths that differ, and matrices of other than one row, are `InvalidShape`. The result is the same,
/// bit for bit, as that of [`one_to_many`] and [`many_to_many`] on this machine with this instruction set. It does not
/// allocate, save where sums leave the range of f32 (below).
///
/// # Numerics
///
/// Let `u` be 2⁻²⁴, or 2⁻⁵³ for f64, `n` the dimension and `c = (min(n, 16,384) / 32 + 10) u`. Of i8, u8 and b1 every
/// sum is exact. Of floats:
///
/// | metric | error at most |
/// | --- | --- |
/// | dot | `c Σ |aᵢbᵢ| + n 2⁻¹⁵⁰` (f64: `n 2⁻¹⁰⁷⁴`) |
/// | cosine | `4c` |
/// | sqeuclidean, manhattan | `2c` times the result |
/// | euclidean | `c` times the result |
/// | hamming, jaccard | exact counts; jaccard rounds one division |
///
/// Sums of f32, f16 and bf16 are made in f32 with fused multiply-add, 4 registers at a time, in blocks of 16,384 that
/// are added in f64 (the bound is that of recursive summation per lane, Higham, *Accuracy and Stability of Numerical
/// Algorithms*, section 4.2). Where such a sum overflows, or one of squares comes below 2⁻¹⁰⁰, the pair is computed anew
/// in f64 with scaling, so that results are infinite only when the distance exceeds the range of f64 or an element is
/// infinite, and small vectors do not look like zero vectors. Subnormal elements are never flushed.
///
/// NaN elements, and infinite ones where the definition has `∞ - ∞` or `∞ / ∞`, give NaN. Vectors of dimension 0 have
/// distance 0 by every metric.
pub fn distance(metric: Metric, a: Rows<'_>, b: Rows<'_>) -> Result<f64> {
    if a.rows() != 1 || b.rows() != 1 {
        let what = format!("two vectors expected, {} and {} rows given", a.rows(), b.rows());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    let mut out = [0.0];
    cross(dispatch::present(), metric, &a, &b, &mut out)?;
    Ok(out[0])
}

/// Distances of one vector to every row of `data`, in the order of the rows. `out` has as many elements as `data` rows.
/// Types, errors and numerics are those of [`distance`]. Reads `data` once, at the speed of memory.
pub fn one_to_many(metric: Metric, query: Rows<'_>, data: Rows<'_>, out: &mut [f64]) -> Result<()> {
    if query.rows() != 1 {
        return Err(Error::new(ErrorKind::InvalidShape, format!("one vector expected, {} rows given", query.rows())));
    }
    cross(dispatch::present(), metric, &query, &data, out)
}

/// Distances of every row of `queries` to every row of `data` (SciPy's `cdist`): `out[q * data.rows() + r]`. Types,
/// errors and numerics are those of [`distance`]. Queries share each pass over memory: `data` is read about once as
/// long as a query and some rows fit the second-level cache.
pub fn many_to_many(metric: Metric, queries: Rows<'_>, data: Rows<'_>, out: &mut [f64]) -> Result<()> {
    cross(dispatch::present(), metric, &queries, &data, out)
}

/// [`many_to_many`] with the given instruction set. Matrices by reference: copies of them would be most of the time a short
/// pair takes.
pub(super) fn cross(isa: Present, metric: Metric, queries: &Rows<'_>, data: &Rows<'_>, out: &mut [f64]) -> Result<()> {
    if queries.dim() != data.dim() {
        let what = format!("a vector of {} and one of {} elements have no distance", queries.dim(), data.dim());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    if queries.rows().checked_mul(data.rows()) != Some(out.len()) {
        let what = format!("{} x {} distances do not go into {} places", queries.rows(), data.rows(), out.len());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    let job = Job { isa, metric, queries, data };
    match (queries.dtype(), data.dtype()) {
        (DType::F32, DType::F32) => job.floats::<tile::F32, tile::F32>(out),
        (DType::F16, DType::F16) => job.floats::<tile::F16, tile::F16>(out),
        (DType::Bf16, DType::Bf16) => job.floats::<tile::Bf16Split, tile::Bf16Split>(out),
        (DType::F64, DType::F64) => job.floats::<tile::F64, tile::F64>(out),
        (DType::F32, DType::F16) => job.floats::<tile::F32, tile::F16>(out),
        (DType::F32, DType::Bf16) => job.floats::<tile::F32, tile::Bf16>(out),
        (DType::F32, DType::I8) => job.floats::<tile::F32, tile::I8AsF32>(out),
        (DType::I8, DType::I8) if metric == Metric::Dot => job.i8_dot(out),
        (DType::I8, DType::I8) => job.integers::<tile::I8>(out),
        (DType::U8, DType::U8) => job.integers::<tile::U8>(out),
        (DType::B1, DType::B1) => job.bits(out),
        (a, b) => {
            return Err(Error::new(ErrorKind::Unsupported, format!("no distance between {a} and {b}"))
                .hint("both of one type of f64 f32 f16 bf16 i8 u8 b1, or f32 with f16, bf16 or i8"));
        }
    }
    Ok(())
}

/// Below this a sum of squares may have lost more than its rounding error to the subnormal range.
const F32_SQUARES_MIN: f64 = f64::from_bits((1023 - 100) << 52);
/// The same for f64.
const F64_SQUARES_MIN: f64 = f64::from_bits((1023 - 900) << 52);

#[derive(Clone, Copy)]
struct Job<'j, 'a> {
    isa: Present,
    metric: Metric,
    queries: &'j Rows<'a>,
    data: &'j Rows<'a>,
}

impl<'a> Job<'_, 'a> {
    fn floats<A: Format, B: Format<Arith = A::Arith>>(self, out: &mut [f64])
    where
        Mul: Op<A::Arith>,
        SqDiff: Op<A::Arith>,
        AbsDiff: Op<A::Arith>,
    {
        let least = if A::BITS == 64 { F64_SQUARES_MIN } else { F32_SQUARES_MIN };
        let job = self;
        match self.metric {
            Metric::Dot => self.sums::<A, B, Mul>(out, |q, r, sum| match sum.is_finite() {
                true => 0.0 - sum,
                false => job.anew(q, r),
            }),
            Metric::Cosine => self.sums_and_norms::<A, B, Mul>(out, |q, r, sum, aa, bb| {
                let usable = |squares: f64| squares >= least && squares.is_finite();
                match usable(aa) && usable(bb) && sum.is_finite() {
                    true => cosine(sum, aa, bb),
                    false => job.anew(q, r),
                }
            }),
            Metric::SqEuclidean => self.sums::<A, B, SqDiff>(out, |q, r, sum| match sum >= least && sum.is_finite() {
                true => sum,
                false => job.anew(q, r),
            }),
            Metric::Euclidean => self.sums::<A, B, SqDiff>(out, |q, r, sum| match sum >= least && sum.is_finite() {
                true => sum.sqrt(),
                false => job.anew(q, r),
            }),
            Metric::Manhattan => self.sums::<A, B, AbsDiff>(out, |q, r, sum| match sum.is_finite() {
                true => sum,
                false => job.anew(q, r),
            }),
            Metric::Hamming | Metric::Jaccard => self.elements(out),
        }
    }

    fn integers<A: Format>(self, out: &mut [f64])
    where
        Mul: Op<A::Arith>,
        SqDiff: Op<A::Arith>,
        AbsDiff: Op<A::Arith>,
    {
        match self.metric {
            Metric::Dot => self.sums::<A, A, Mul>(out, |_, _, sum| 0.0 - sum),
            Metric::Cosine => self.sums_and_norms::<A, A, Mul>(out, |_, _, sum, aa, bb| cosine(sum, aa, bb)),
            Metric::SqEuclidean => self.sums::<A, A, SqDiff>(out, |_, _, sum| sum),
            Metric::Euclidean => self.sums::<A, A, SqDiff>(out, |_, _, sum| sum.sqrt()),
            Metric::Manhattan => self.sums::<A, A, AbsDiff>(out, |_, _, sum| sum),
            Metric::Hamming | Metric::Jaccard => self.elements(out),
        }
    }

    /// With the instruction for bytes, which takes one side unsigned: `Σ a (b + 128) - 128 Σ a`.
    fn i8_dot(self, out: &mut [f64]) {
        use tile::{I8Plain, I8Raised, Ones};
        if out.len() == 1 {
            let (sum, ..) = self.isa.run(Pair::<I8Plain, Ones, Mul, false>::new(self.queries, self.queries));
            return self.sums::<I8Plain, I8Raised, Mul>(out, |_, _, raised| 128.0 * sum - raised);
        }
        let query_sums = self.each_query(|query| Pair::<I8Plain, Ones, Mul, false>::new(query, query));
        self.sums::<I8Plain, I8Raised, Mul>(out, |q, _, sum| 128.0 * query_sums[q] - sum);
    }

    fn bits(self, out: &mut [f64]) {
        use tile::B1;
        match self.metric {
            Metric::Dot => self.sums::<B1, B1, Mul>(out, |_, _, both| 0.0 - both),
            Metric::Cosine => self.sums_and_norms::<B1, B1, Mul>(out, |_, _, both, a, b| cosine(both, a, b)),
            Metric::Jaccard => self.sums_and_norms::<B1, B1, Mul>(out, |_, _, both, a, b| jaccard(both, a + b - both)),
            Metric::Hamming | Metric::SqEuclidean | Metric::Manhattan => {
                self.sums::<B1, B1, SqDiff>(out, |_, _, differ| differ);
            }
            Metric::Euclidean => self.sums::<B1, B1, SqDiff>(out, |_, _, differ| differ.sqrt()),
        }
    }

    /// Sums of every pair, each finished by `finish(query, row, sum)`.
    fn sums<A, B, O>(self, out: &mut [f64], finish: impl Fn(usize, usize, f64) -> f64)
    where
        A: Format,
        B: Format<Arith = A::Arith>,
        O: Op<A::Arith>,
    {
        if let [place] = out {
            let (sum, ..) = self.isa.run(Pair::<A, B, O, false>::new(self.queries, self.data));
            *place = finish(0, 0, sum);
            return;
        }
        self.panels(out.len(), |rows| {
            let data = self.data.slice(rows.clone());
            self.isa.run(Panel(Sums::<A, B, O, f64>::new(*self.queries, data, out, rows.start, self.data.rows())));
            for q in 0..self.queries.rows() {
                for r in rows.clone() {
                    let place = &mut out[q * self.data.rows() + r];
                    *place = finish(q, r, *place);
                }
            }
        });
    }

    /// As `sums`, with the sums of each query and each row with itself: `finish(query, row, sum, norm, norm)`.
    fn sums_and_norms<A, B, O>(self, out: &mut [f64], finish: impl Fn(usize, usize, f64, f64, f64) -> f64)
    where
        A: Format,
        B: Format<Arith = A::Arith>,
        O: Op<A::Arith>,
    {
        if let [place] = out {
            let (sum, aa, bb) = self.isa.run(Pair::<A, B, O, true>::new(self.queries, self.data));
            *place = finish(0, 0, sum, aa, bb);
            return;
        }
        let query_norms: Vec<f64> = self.each_query(|query| Pair::<A, A, O, false>::new(query, query));
        let mut row_norms = vec![0.0; panel_rows(self.data).min(self.data.rows())];
        self.panels(out.len(), |rows| {
            let data = self.data.slice(rows.clone());
            let stride = self.data.rows();
            let sums = Sums::<A, B, O, f64>::new(self.queries.row(0), data, out, rows.start, stride);
            self.isa.run(PanelOfNorms { sums, norms: &mut row_norms });
            if self.queries.rows() > 1 {
                let others = self.queries.slice(1..self.queries.rows());
                self.isa.run(Panel(Sums::<A, B, O, f64>::new(others, data, out, stride + rows.start, stride)));
            }
            for (q, &aa) in query_norms.iter().enumerate() {
                for (r, &bb) in rows.clone().zip(row_norms.iter()) {
                    let place = &mut out[q * self.data.rows() + r];
                    *place = finish(q, r, *place, aa, bb);
                }
            }
        });
    }

    /// The sum of a kernel for every query.
    fn each_query<K: Kernel<Output = (f64, f64, f64)>>(&self, kernel: impl Fn(&Rows<'a>) -> K) -> Vec<f64> {
        (0..self.queries.rows()).map(|q| self.isa.run(kernel(&self.queries.row(q))).0).collect()
    }

    /// Hamming and Jaccard over elements.
    fn elements(self, out: &mut [f64]) {
        for (q, out) in out.chunks_exact_mut(self.data.rows().max(1)).enumerate() {
            for (r, out) in out.iter_mut().enumerate() {
                let pair = Elements { metric: self.metric, a: self.queries.row(q), b: self.data.row(r) };
                *out = self.isa.run(pair);
            }
        }
    }

    /// The pair in f64 with scaling.
    #[cold]
    fn anew(self, q: usize, r: usize) -> f64 {
        wide::distance(self.metric, self.queries.row(q), self.data.row(r))
    }

    /// Calls `work` with the rows of every panel.
    fn panels(&self, places: usize, mut work: impl FnMut(Range<usize>)) {
        if places == 0 {
            return;
        }
        let (rows, step) = (self.data.rows(), panel_rows(self.data));
        let mut first = 0;
        while first < rows {
            let end = rows.min(first + step);
            work(first..end);
            first = end;
        }
    }
}

/// `1 - ab / √(aa bb)` within [0, 2]; the rule for zero vectors is that of [`Metric::Cosine`].
#[inline]
pub(super) fn cosine(ab: f64, aa: f64, bb: f64) -> f64 {
    if ab.is_nan() {
        return f64::NAN;
    }
    if aa == 0.0 || bb == 0.0 {
        return if aa == bb { 0.0 } else { 1.0 };
    }
    // One root where the product allows: it makes the distance of equal vectors exactly 0.
    let product = aa * bb;
    let lengths = if product.is_normal() { product.sqrt() } else { aa.sqrt() * bb.sqrt() };
    // `clamp` keeps NaN.
    (1.0 - ab / lengths).clamp(0.0, 2.0)
}

fn jaccard(both: f64, either: f64) -> f64 {
    if either == 0.0 { 0.0 } else { 1.0 - both / either }
}

/// Hamming or Jaccard of one pair, over elements.
struct Elements<'a> {
    metric: Metric,
    a: Rows<'a>,
    b: Rows<'a>,
}

impl Kernel for Elements<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> f64 {
        let (a, b) = (self.a.row_bytes(0), self.b.row_bytes(0));
        /// Both sides as numbers of one type.
        macro_rules! count {
            ($a:ty, $b:ty, $number:ty) => {{
                let a = a.as_chunks().0.iter().map(|&bytes| <$number>::from(<$a>::from_le_bytes(bytes)));
                let b = b.as_chunks().0.iter().map(|&bytes| <$number>::from(<$b>::from_le_bytes(bytes)));
                let zero = <$number>::default();
                let (mut differ, mut both, mut either) = (0_usize, 0_usize, 0_usize);
                for (a, b) in a.zip(b) {
                    differ += usize::from(a != b);
                    both += usize::from((a != zero) & (b != zero));
                    either += usize::from((a != zero) | (b != zero));
                }
                (differ as f64, both as f64, either as f64)
            }};
        }
        let (differ, both, either) = match (self.a.dtype(), self.b.dtype()) {
            (DType::F64, _) => count!(f64, f64, f64),
            (DType::F32, DType::F32) => count!(f32, f32, f32),
            (DType::F32, DType::F16) => count!(f32, f16, f32),
            (DType::F32, DType::Bf16) => count!(f32, bf16, f32),
            (DType::F32, _) => count!(f32, i8, f32),
            (DType::F16, _) => count!(f16, f16, f16),
            (DType::Bf16, _) => count!(bf16, bf16, bf16),
            (DType::I8, _) => count!(i8, i8, i8),
            _ => count!(u8, u8, u8),
        };
        if self.metric == Metric::Hamming { differ } else { jaccard(both, either) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unequal_dimensions_and_wrong_places_are_refused() {
        let (a, b) = ([1.0_f32; 4], [1.0_f32; 3]);
        let one = |v| Rows::one(v).unwrap();
        let kind = |result: Result<f64>| result.unwrap_err().kind();
        assert_eq!(kind(distance(Metric::Dot, one(&a), one(&b))), ErrorKind::InvalidShape);
        assert_eq!(kind(distance(Metric::Dot, one(&a), Rows::of(2, &a).unwrap())), ErrorKind::InvalidShape);
        let mut out = [0.0; 2];
        let wrong = one_to_many(Metric::Dot, one(&a), one(&a), &mut out);
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::InvalidShape);
        assert_eq!(kind(distance(Metric::Dot, one(&a), Rows::one(&[1_i32; 4]).unwrap())), ErrorKind::Unsupported);
    }
}

//! Distances of a pair, of one vector to many, and of many to many.

use half::{bf16, f16};

use super::bits::jaccard;
use super::dispatch::{self, Present};
use super::entry::{self, Cosine, Finish, Minus, Pair, Squares};
use super::panel::{Tiles, panel_rows};
use super::tile::{self, Arith, Double, Mul, Pairs, Single, SqDiff, Whole};
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
/// Algorithms*, section 4.2). Where such a sum overflows, or one of squares comes below 2⁻¹⁰⁰ (of bf16 2⁻⁷⁰), the
/// pair is computed anew in f64 with scaling, so that results are infinite only when the distance exceeds the range of f64
/// or an element is infinite, and small vectors do not look like zero vectors. Subnormal elements count: none is flushed
/// where these bounds would show it.
///
/// NaN elements, and infinite ones where the definition has `∞ - ∞` or `∞ / ∞`, give NaN. Vectors of dimension 0 have
/// distance 0 by every metric.
#[inline]
pub fn distance(metric: Metric, a: Rows<'_>, b: Rows<'_>) -> Result<f64> {
    let Some(pair) = Pair::new(metric, &a, &b) else { return distance_apart(metric, &a.remade(), &b.remade()) };
    let value = pair.value();
    if value.is_nan() {
        return Ok(distance_anew(metric, a.dtype(), pair.dim, pair.a, pair.b));
    }
    Ok(if metric == Metric::Euclidean { value.sqrt() } else { value })
}

/// The distance of a pair whose sums left the range of the fast path. Of parts that fit registers: what is given by
/// reference would have to be in memory whenever a distance is computed.
#[cold]
#[inline(never)]
fn distance_anew(metric: Metric, dtype: DType, dim: usize, a: &[u8], b: &[u8]) -> f64 {
    match (Rows::new(dtype, 1, dim, a), Rows::new(dtype, 1, dim, b)) {
        (Ok(a), Ok(b)) => wide::distance(metric, a, b),
        // Rows of other lengths never get here.
        _ => f64::NAN,
    }
}

/// The distances that need more than one look-up: of two types, over single elements, the first of its kind, or none.
#[inline(never)]
fn distance_apart(metric: Metric, a: &Rows<'_>, b: &Rows<'_>) -> Result<f64> {
    if a.rows() != 1 || b.rows() != 1 {
        let what = format!("two vectors expected, {} and {} rows given", a.rows(), b.rows());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    if a.dtype() == b.dtype() {
        entry::prepare(a.dtype(), metric);
    }
    let mut out = [0.0];
    cross(dispatch::present(), metric, a, b, &mut out)?;
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
    let (a, b) = (queries.dtype(), data.dtype());
    if !entry::exists(a, b) {
        return Err(Error::new(ErrorKind::Unsupported, format!("no distance between {a} and {b}"))
            .hint("both of one type of f64 f32 f16 bf16 i8 u8 b1, or f32 with f16, bf16 or i8"));
    }
    let job = Job { isa, metric, queries, data };
    match metric {
        Metric::Hamming | Metric::Jaccard if a != DType::B1 => job.elements(out),
        _ => job.sums(out),
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Job<'j, 'a> {
    isa: Present,
    metric: Metric,
    queries: &'j Rows<'a>,
    data: &'j Rows<'a>,
}

/// What tiles leave to be done once per query.
struct Once {
    /// What raising the rows added to each sum.
    raised: Vec<f64>,
    /// Sums of each query with itself.
    norms: Vec<f64>,
}

impl Job<'_, '_> {
    fn sums(self, out: &mut [f64]) {
        let stride = self.data.rows();
        if out.is_empty() {
            return;
        }
        let once = (self.queries.rows() > 1).then(|| self.once());
        let step = panel_rows(self.queries.rows(), self.data);
        let mut first = 0;
        while first < stride {
            let data = self.data.slice(first..first.saturating_add(step));
            let end = first + data.rows();
            let (queries_done, rows_done) = match &once {
                Some(once) => self.tiles(once, &data, first, out),
                None => (0, 0),
            };
            for q in 0..self.queries.rows() {
                let from = if q < queries_done { rows_done } else { 0 };
                let places = &mut out[q * stride + first + from..q * stride + end];
                entry::scan(self.isa, self.metric, &self.queries.row(q), &data.slice(from..data.rows()), places);
                let places = &mut out[q * stride + first..q * stride + end];
                self.settle(q, first, places);
            }
            first = end;
        }
    }

    /// Takes the root where it is due, and computes anew what the fast path could not.
    fn settle(self, q: usize, first: usize, out: &mut [f64]) {
        if self.metric == Metric::Euclidean {
            out.iter_mut().for_each(|place| *place = place.sqrt());
        }
        for (r, place) in out.iter_mut().enumerate() {
            if place.is_nan() {
                *place = self.anew(q, first + r);
            }
        }
    }

    fn once(self) -> Once {
        let queries = || (0..self.queries.rows()).map(|q| self.queries.row(q));
        let sum =
            |query: Rows<'_>| -> i64 { query.row_bytes(0).iter().map(|&byte| i64::from(byte.cast_signed())).sum() };
        let is_raised = self.queries.dtype() == DType::I8 && self.data.dtype() == DType::I8;
        let raised = queries().map(|query| if is_raised { 128.0 * sum(query) as f64 } else { 0.0 }).collect();
        let norms = if self.metric == Metric::Cosine { self.norms(self.queries) } else { Vec::new() };
        Once { raised, norms }
    }

    /// Sums of each row with itself, NaN where they leave the range of their type.
    fn norms(self, rows: &Rows<'_>) -> Vec<f64> {
        let mut norms = vec![0.0; rows.rows()];
        for (r, norm) in norms.iter_mut().enumerate() {
            let row = rows.row(r);
            entry::scan(self.isa, Metric::Dot, &row, &row, std::slice::from_mut(norm));
            *norm = -*norm;
        }
        norms
    }

    /// The distances of some rows, from `first` on, that fill tiles: of how many queries, and of how many rows.
    ///
    /// Tiles are long code that is compiled for every type, operation and instruction set. So there are none where batches
    /// are rare or gain little: bits, sums of absolute differences, cosines of bfloat16 and between types.
    fn tiles(self, once: &Once, data: &Rows<'_>, first: usize, out: &mut [f64]) -> (usize, usize) {
        let stride = self.data.rows();
        macro_rules! tiles {
            ($a:ident, $b:ident, $op:ident) => {
                tiles!(self.isa, $a, $b, $op)
            };
            ($isa:expr, $a:ident, $b:ident, $op:ident) => {
                $isa.run(Tiles::<tile::$a, tile::$b, $op, f64>::new(*self.queries, *data, out, first, stride))
            };
        }
        macro_rules! types {
            ($op:ident, { $($arm:tt)* }) => {
                match (self.queries.dtype(), data.dtype()) {
                    (DType::F32, DType::F32) => tiles!(F32, F32, $op),
                    (DType::F16, DType::F16) => tiles!(self.isa.narrow(), F16, F16, $op),
                    (DType::F64, DType::F64) => tiles!(F64, F64, $op),
                    (DType::U8, DType::U8) => tiles!(U8, U8, $op),
                    $($arm)*
                    (DType::Bf16, DType::Bf16) if self.metric != Metric::Cosine => tiles!(Bf16Split, Bf16Split, $op),
                    (DType::F32, DType::F16) if self.metric != Metric::Cosine => tiles!(F32, F16, $op),
                    (DType::F32, DType::Bf16) if self.metric != Metric::Cosine => tiles!(F32, Bf16, $op),
                    (DType::F32, DType::I8) if self.metric != Metric::Cosine => tiles!(F32, I8AsF32, $op),
                    _ => (0, 0),
                }
            };
        }
        let (queries, rows) = match self.metric {
            Metric::Dot | Metric::Cosine => {
                types!(Mul, { (DType::I8, DType::I8) => tiles!(I8Plain, I8Raised, Mul), })
            }
            Metric::SqEuclidean | Metric::Euclidean => {
                types!(SqDiff, { (DType::I8, DType::I8) => tiles!(I8Plain, I8Plain, SqDiff), })
            }
            _ => (0, 0),
        };
        let row_norms = if self.metric == Metric::Cosine && queries > 0 { self.norms(data) } else { Vec::new() };
        let least = match data.dtype() {
            DType::F64 => Double::SQUARES_MIN,
            _ if self.queries.dtype() == DType::Bf16 => Pairs::SQUARES_MIN,
            _ if self.queries.dtype().bits() == 8 => Whole::SQUARES_MIN,
            _ => Single::SQUARES_MIN,
        };
        for q in 0..queries {
            let places = &mut out[q * stride + first..][..rows];
            match self.metric {
                Metric::Dot => {
                    let raised = once.raised[q];
                    places.iter_mut().for_each(|place| *place = Minus::finish(least, *place - raised, 0.0, 0.0));
                }
                Metric::Cosine => {
                    let (raised, aa) = (once.raised[q], once.norms[q]);
                    for (place, &bb) in places.iter_mut().zip(&row_norms) {
                        *place = Cosine::finish(least, *place - raised, aa, bb);
                    }
                }
                _ => places.iter_mut().for_each(|place| *place = Squares::finish(least, *place, 0.0, 0.0)),
            }
        }
        (queries, rows)
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
    let lengths = if product.is_normal() { product.sqrt() } else { roots_apart(aa, bb) };
    // `clamp` keeps NaN.
    (1.0 - ab / lengths).clamp(0.0, 2.0)
}

/// Rare, and so no work for each row of a scan.
#[cold]
#[inline(never)]
fn roots_apart(aa: f64, bb: f64) -> f64 {
    aa.sqrt() * bb.sqrt()
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

//! Numbers out of one vector: sums, norms, extremes and their places, log-sum-exp; and the centroid of many vectors.
//!
//! Every function takes one row of f64 f32 f16 bf16 f8e4m3 f8e5m2 i8 u8 i16 u16 i32 or u32 (`Unsupported` otherwise,
//! `InvalidShape` for other than one row) and computes in f64. NaN elements give NaN.

use super::decode::{self, Visit, one_row, supported};
use super::{Moments, Rows};
use crate::error::{Error, ErrorKind, Result};

/// Which norm of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Norm {
    /// `Σ |xᵢ|`.
    One,
    /// `√ Σ xᵢ²`.
    Two,
    /// `max |xᵢ|`.
    Infinity,
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $of:expr;)*) => {
        /// What [`reduce`] makes of a vector. Numbers are stable and the same in every language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Reduction {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Reduction {
            /// Every reduction, in the order of the numbers.
            pub const ALL: &'static [Reduction] = &[$(Reduction::$variant,)*];

            /// The stable number; never 0.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// Inverse of [`Reduction::number`].
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Reduction::$variant),)* _ => None }
            }

            /// Lower-case name.
            pub const fn name(self) -> &'static str {
                match self { $(Reduction::$variant => $name,)* }
            }
        }

        /// One number of a vector. Places are numbers as well, exact up to 2^53. Fails as the function of that name does.
        pub fn reduce(what: Reduction, row: Rows<'_>) -> Result<f64> {
            match what { $(Reduction::$variant => { let of: fn(Rows<'_>) -> Result<f64> = $of; of(row) })* }
        }
    };
}

reductions! {
    /// [`sum`].
    Sum = 1, "sum", sum;
    /// [`mean`].
    Mean = 2, "mean", mean;
    /// [`variance`] with the divisor n.
    Variance = 3, "variance", |row| variance(row, 0);
    /// [`variance`] with the divisor n - 1.
    SampleVariance = 4, "sample_variance", |row| variance(row, 1);
    /// [`min`].
    Min = 5, "min", min;
    /// [`max`].
    Max = 6, "max", max;
    /// [`argmin`].
    ArgMin = 7, "argmin", |row| argmin(row).map(|place| place as f64);
    /// [`argmax`].
    ArgMax = 8, "argmax", |row| argmax(row).map(|place| place as f64);
    /// [`norm`] of [`Norm::One`].
    NormOne = 9, "norm_1", |row| norm(Norm::One, row);
    /// [`norm`] of [`Norm::Two`].
    NormTwo = 10, "norm_2", |row| norm(Norm::Two, row);
    /// [`norm`] of [`Norm::Infinity`].
    NormMax = 11, "norm_max", |row| norm(Norm::Infinity, row);
    /// [`log_sum_exp`].
    LogSumExp = 12, "log_sum_exp", log_sum_exp;
}

/// Sum of the elements; 0 of none. Sums of 64 elements by eight lanes, those added with compensation (Neumaier, *ZAMM*
/// 54, 1974): the error is at most `12 · 2⁻⁵³ Σ |xᵢ|` (plus terms of `n² 2⁻¹⁰⁶`), whatever the length. Integers are exact
/// while every partial sum is below 2⁵³.
pub fn sum(row: Rows<'_>) -> Result<f64> {
    let mut total = Total::default();
    decode::visit(one_row(row)?, 0, &mut Apply(|x: &[f64]| total.add(lane_sum(x, |x| x))));
    Ok(total.value())
}

/// Norm of a vector; 0 of an empty one. Relative error at most 16 · 2⁻⁵³; [`Norm::Infinity`] is exact. The sum of
/// squares is scaled where it would leave the range of f64, so that the 2-norm is infinite only if it exceeds that range
/// or an element is infinite.
pub fn norm(order: Norm, row: Rows<'_>) -> Result<f64> {
    let row = one_row(row)?;
    match order {
        Norm::One => {
            let mut total = Total::default();
            decode::visit(row, 0, &mut Apply(|x: &[f64]| total.add(lane_sum(x, f64::abs))));
            Ok(total.value())
        }
        Norm::Two => Ok(scaled_norm(row).0),
        Norm::Infinity => Ok(largest(row)),
    }
}

/// Mean of the elements, by [`Moments`]; NaN of none.
pub fn mean(row: Rows<'_>) -> Result<f64> {
    Ok(moments(row)?.mean())
}

/// Variance with `n - ddof` as divisor (0: population, 1: sample), by [`Moments`]; NaN unless there are more than `ddof`
/// elements.
pub fn variance(row: Rows<'_>, ddof: u64) -> Result<f64> {
    Ok(moments(row)?.variance(ddof))
}

fn moments(row: Rows<'_>) -> Result<Moments> {
    let mut moments = Moments::new();
    moments.push(one_row(row)?)?;
    Ok(moments)
}

/// Smallest element; NaN if there is one (NumPy's rule). `InvalidArgument` for an empty vector.
pub fn min(row: Rows<'_>) -> Result<f64> {
    extreme(row, -1.0).map(|(_, value)| value)
}

/// Largest element; NaN if there is one (NumPy's rule). `InvalidArgument` for an empty vector.
pub fn max(row: Rows<'_>) -> Result<f64> {
    extreme(row, 1.0).map(|(_, value)| value)
}

/// Index of the first smallest element, or of the first NaN if there is one (NumPy's rule). `InvalidArgument` for an
/// empty vector.
pub fn argmin(row: Rows<'_>) -> Result<usize> {
    extreme(row, -1.0).map(|(index, _)| index)
}

/// Index of the first largest element, or of the first NaN if there is one (NumPy's rule). `InvalidArgument` for an
/// empty vector.
pub fn argmax(row: Rows<'_>) -> Result<usize> {
    extreme(row, 1.0).map(|(index, _)| index)
}

/// `ln Σ exp(xᵢ)`, computed as `m + ln Σ exp(xᵢ - m)` with `m` the largest element, so that it overflows only if the
/// result does; absolute error at most `2⁻⁵⁰ (1 + |result|)`. `-∞` of none and where all are; `+∞` where one is.
pub fn log_sum_exp(row: Rows<'_>) -> Result<f64> {
    let row = one_row(row)?;
    if row.dim() == 0 {
        return Ok(f64::NEG_INFINITY);
    }
    let largest = max(row)?;
    if !largest.is_finite() {
        return Ok(largest);
    }
    let mut total = Total::default();
    decode::visit(row, 0, &mut Apply(|x: &[f64]| total.add(lane_sum(x, |x| (x - largest).exp()))));
    Ok(largest + total.value().ln())
}

/// Mean of many vectors, element by element: `out[i] = Σ wᵣ x[r][i] / Σ wᵣ`, with weights of 1 if none are given.
///
/// Rows are added in their order in f64: the error is at most `(rows + 2) 2⁻⁵³ Σ |wᵣ x[r][i]| / |Σ wᵣ|`. Fails with
/// `InvalidShape` unless `out` has a place per dimension and there is a weight per row, with `InvalidArgument` for no
/// rows and for weights that sum to 0 or to no finite number. A row of weight 0 with NaN or infinity gives NaN.
pub fn centroid(rows: Rows<'_>, weights: Option<&[f64]>, out: &mut [f64]) -> Result<()> {
    supported(rows)?;
    if out.len() != rows.dim() || weights.is_some_and(|weights| weights.len() != rows.rows()) {
        let what = format!("{} rows of {} elements need as many places and weights", rows.rows(), rows.dim());
        return Err(Error::new(ErrorKind::InvalidShape, what));
    }
    let total = weights.map_or(rows.rows() as f64, |weights| weights.iter().sum());
    if total == 0.0 || !total.is_finite() {
        return Err(Error::new(ErrorKind::InvalidArgument, "the weights of a centroid sum to 0 or are not finite"));
    }
    out.fill(0.0);
    // Rows of no elements take no memory, and so may be more than could ever be counted.
    let rows_read = if rows.dim() == 0 { 0 } else { rows.rows() };
    for r in 0..rows_read {
        let weight = weights.map_or(1.0, |weights| weights[r]);
        let mut places = out.chunks_mut(decode::CHUNK);
        let mut add = Apply(|x: &[f64]| {
            let places = places.next().unwrap_or_default();
            places.iter_mut().zip(x).for_each(|(place, x)| *place += weight * x);
        });
        decode::visit(rows, r, &mut add);
    }
    out.iter_mut().for_each(|place| *place /= total);
    Ok(())
}

/// The 2-norm, and the power of two by which elements are to be multiplied before their squares are summed.
pub(super) fn scaled_norm(row: Rows<'_>) -> (f64, f64) {
    let squares = |scale: f64| {
        let mut total = Total::default();
        let mut add = Apply(|x: &[f64]| {
            total.add(lane_sum(x, |x| {
                let x = x * scale;
                x * x
            }));
        });
        decode::visit(row, 0, &mut add);
        total.value()
    };
    let plain = squares(1.0);
    // 2^-900: above it no square that matters was lost to the subnormal range.
    if plain.is_nan() || (plain.is_finite() && plain >= f64::from_bits((1023 - 900) << 52)) {
        return (plain.sqrt(), 1.0);
    }
    let largest = largest(row);
    if largest == 0.0 || !largest.is_finite() {
        return (largest, 1.0);
    }
    let scale = super::wide::scale_of(largest);
    (squares(scale).sqrt() / scale, scale)
}

fn largest(row: Rows<'_>) -> f64 {
    let mut largest = 0.0_f64;
    decode::visit(row, 0, &mut Apply(|x: &[f64]| largest = lane_max(largest, x, 0.0)));
    largest
}

/// Place and value of the largest of `sign * x`: the first, or the first NaN.
fn extreme(row: Rows<'_>, sign: f64) -> Result<(usize, f64)> {
    let row = one_row(row)?;
    if row.dim() == 0 {
        return Err(Error::new(ErrorKind::InvalidArgument, "an empty vector has no extremes"));
    }
    let (mut best, mut index, mut start) = (f64::NEG_INFINITY, 0, 0);
    let mut search = Apply(|x: &[f64]| {
        // Most chunks hold nothing new; only in others a place is looked for.
        let here = lane_max(f64::NEG_INFINITY, x, sign);
        if !best.is_nan() && (here.is_nan() || here > best) {
            let found = |&x: &f64| if here.is_nan() { x.is_nan() } else { sign * x == here };
            index = start + x.iter().position(found).unwrap_or(0);
            best = here;
        }
        start += x.len();
    });
    decode::visit(row, 0, &mut search);
    Ok((index, sign * best))
}

/// The largest of `start` and `sign * x` (`|x|` for a sign of 0); NaN if there is one.
#[inline(always)]
fn lane_max(start: f64, x: &[f64], sign: f64) -> f64 {
    let mut lanes = [start; 8];
    let mut nan = start.is_nan();
    for x in x.chunks(8) {
        for (lane, x) in lanes.iter_mut().zip(x) {
            let x = if sign == 0.0 { x.abs() } else { sign * x };
            nan |= x.is_nan();
            *lane = if x > *lane { x } else { *lane };
        }
    }
    match nan {
        true => f64::NAN,
        false => lanes.iter().fold(start, |largest, &x| largest.max(x)),
    }
}

/// Sum of at most 64 numbers: eight lanes, then a tree.
#[inline(always)]
pub(super) fn lane_sum(x: &[f64], map: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let (whole, rest) = x.as_chunks::<8>();
    for x in whole {
        for (lane, &x) in lanes.iter_mut().zip(x) {
            *lane += map(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += map(x);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// A sum with its rounding errors beside it (Neumaier).
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: f64,
    lost: f64,
}

impl Total {
    #[inline(always)]
    fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        let (large, small) = if self.sum.abs() >= x.abs() { (self.sum, x) } else { (x, self.sum) };
        self.lost += (large - sum) + small;
        self.sum = sum;
    }

    fn value(self) -> f64 {
        // Of an infinite sum the errors are no numbers.
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

/// A closure as a [`Visit`].
struct Apply<F>(F);

impl<F: FnMut(&[f64])> Visit for Apply<F> {
    #[inline(always)]
    fn visit(&mut self, elements: &[f64]) {
        (self.0)(elements);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random::Random;

    fn of(x: &[f64]) -> Rows<'_> {
        Rows::one(x).unwrap()
    }

    // A sum that loses the small beside the large is wrong by everything that was small.
    #[test]
    fn sums_survive_cancellation_and_length() {
        let mut x = vec![1e16_f64; 200];
        x.extend([1.0; 999]);
        x.extend([-1e16; 200]);
        let absolute: f64 = x.iter().map(|x| x.abs()).sum();
        assert!((sum(of(&x)).unwrap() - 999.0).abs() <= 12.0 * f64::EPSILON / 2.0 * absolute);
        let tenths = vec![0.1_f32; 1_000_000];
        let exact = f64::from(0.1_f32) * 1e6;
        assert!((sum(Rows::one(&tenths).unwrap()).unwrap() - exact).abs() < 1e-8);
        assert_eq!(sum(of(&[])).unwrap(), 0.0);
        assert_eq!(sum(of(&[f64::INFINITY, 1.0])).unwrap(), f64::INFINITY);
        assert!(sum(of(&[f64::INFINITY, f64::NEG_INFINITY])).unwrap().is_nan());
        assert_eq!(sum(Rows::one(&[-128_i8; 300]).unwrap()).unwrap(), -38_400.0);
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        let close = |got: f64, want: f64| assert!((got / want - 1.0).abs() <= 16.0 * f64::EPSILON, "{got} {want}");
        for unit in [1.0, 1e300, 1e-300, 5e-324] {
            let x = [3.0 * unit, -4.0 * unit, 0.0];
            assert_eq!(norm(Norm::One, of(&x)).unwrap(), 7.0 * unit);
            close(norm(Norm::Two, of(&x)).unwrap(), 5.0 * unit);
            assert_eq!(norm(Norm::Infinity, of(&x)).unwrap(), 4.0 * unit);
        }
        for order in [Norm::One, Norm::Two, Norm::Infinity] {
            assert_eq!(norm(order, of(&[])).unwrap(), 0.0);
            assert_eq!(norm(order, of(&[-0.0, 0.0])).unwrap(), 0.0);
            assert_eq!(norm(order, of(&[1.0, f64::NEG_INFINITY])).unwrap(), f64::INFINITY);
            assert!(norm(order, of(&[1.0, f64::NAN, f64::INFINITY])).unwrap().is_nan());
        }
    }

    #[test]
    fn extremes_follow_numpy() {
        let mut random = Random::new(3);
        for len in 1..200 {
            let x: Vec<f64> = (0..len).map(|_| random.below(50) as f64 - 25.0).collect();
            let largest = x.iter().copied().fold(f64::MIN, f64::max);
            assert_eq!(argmax(of(&x)).unwrap(), x.iter().position(|&v| v == largest).unwrap());
            assert_eq!(max(of(&x)).unwrap(), largest);
            let negated: Vec<f64> = x.iter().map(|x| -x).collect();
            assert_eq!(argmin(of(&negated)).unwrap(), argmax(of(&x)).unwrap());
            assert_eq!(min(of(&negated)).unwrap(), -largest);
        }
        let x = [1.0, f64::NAN, f64::INFINITY, f64::NAN];
        assert_eq!((argmax(of(&x)).unwrap(), argmin(of(&x)).unwrap()), (1, 1));
        assert!(max(of(&x)).unwrap().is_nan() && min(of(&x)).unwrap().is_nan());
        assert_eq!(argmax(of(&[f64::NEG_INFINITY; 3])).unwrap(), 0);
        assert_eq!(argmax(of(&[])).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(max(Rows::new(crate::DType::B1, 1, 8, &[1]).unwrap()).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn log_sum_exp_is_stable() {
        assert!((log_sum_exp(of(&[1000.0, 1000.0])).unwrap() - (1000.0 + 2_f64.ln())).abs() < 1e-12);
        assert!((log_sum_exp(of(&[-1000.0; 4])).unwrap() - (-1000.0 + 4_f64.ln())).abs() < 1e-12);
        assert_eq!(log_sum_exp(of(&[])).unwrap(), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(of(&[f64::NEG_INFINITY; 2])).unwrap(), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(of(&[f64::INFINITY, 1.0])).unwrap(), f64::INFINITY);
        assert!(log_sum_exp(of(&[f64::NAN, 1.0])).unwrap().is_nan());
    }

    #[test]
    fn centroids_weigh_rows_and_refuse_nothing_to_weigh() {
        let x = [1.0_f32, 2.0, 3.0, 6.0];
        let rows = Rows::of(2, &x).unwrap();
        let mut out = [0.0; 2];
        centroid(rows, None, &mut out).unwrap();
        assert_eq!(out, [2.0, 4.0]);
        centroid(rows, Some(&[3.0, 1.0]), &mut out).unwrap();
        assert_eq!(out, [1.5, 3.0]);
        let kind = |result: Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(centroid(rows, Some(&[1.0]), &mut out)), ErrorKind::InvalidShape);
        assert_eq!(kind(centroid(rows, Some(&[1.0, -1.0]), &mut out)), ErrorKind::InvalidArgument);
        assert_eq!(kind(centroid(rows.slice(0..0), None, &mut out)), ErrorKind::InvalidArgument);
        assert_eq!(kind(centroid(rows, None, &mut [0.0; 3])), ErrorKind::InvalidShape);
        centroid(Rows::new(crate::DType::F32, usize::MAX, 0, &[]).unwrap(), None, &mut []).unwrap();
        let long: Vec<f64> = (0..400).map(f64::from).collect();
        let mut out = vec![0.0; 200];
        centroid(Rows::of(200, &long).unwrap(), None, &mut out).unwrap();
        assert!(out.iter().enumerate().all(|(i, &x)| x == i as f64 + 100.0));
    }
}

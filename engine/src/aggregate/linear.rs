//! Aggregates whose state does not grow with the rows: sums, means, extremes, and moments of second order.

use super::{Aggregated, Aggregation, NUMBERS_MAX, zeros};
use crate::error::{Error, Result};
use crate::memory;

/// Numbers of a state: sums or extremes; for variances mean and squared deviations; for sums of
/// exponentials the largest exponents and the sums relative to them; for covariances and components the mean
/// and the upper triangle of the co-moments, row by row. `None` beyond what a state may hold.
pub(super) fn numbers_len(spec: Aggregation, dim: usize) -> Option<usize> {
    let len = match spec {
        Aggregation::Count => Some(0),
        Aggregation::Variance { .. } | Aggregation::LogSumExp => dim.checked_mul(2),
        Aggregation::Covariance { .. } | Aggregation::Pca { .. } => {
            dim.checked_add(1).and_then(|n| n.checked_mul(dim)).and_then(|n| (n / 2).checked_add(dim))
        }
        _ => Some(dim),
    };
    len.filter(|&len| len <= NUMBERS_MAX)
}

/// The state of no rows.
pub(super) fn start(spec: Aggregation, dim: usize) -> Result<Vec<f64>> {
    let len = numbers_len(spec, dim).ok_or_else(|| {
        Error::invalid_argument(format!("'{spec}' of {dim} dimensions needs more than {NUMBERS_MAX} numbers"))
            .hint("reduce the dimension first")
    })?;
    let mut numbers = zeros(len)?;
    match spec {
        Aggregation::Min => numbers.fill(f64::INFINITY),
        Aggregation::Max => numbers.fill(f64::NEG_INFINITY),
        Aggregation::LogSumExp => numbers.iter_mut().take(dim).for_each(|most| *most = f64::NEG_INFINITY),
        _ => {}
    }
    Ok(numbers)
}

/// Takes one row, which is overwritten. `before` is the weight of the rows so far.
pub(super) fn push(spec: Aggregation, numbers: &mut [f64], before: f64, row: &mut [f64], weight: f64) {
    match spec {
        Aggregation::Sum | Aggregation::Mean => {
            numbers.iter_mut().zip(row.iter()).for_each(|(sum, x)| *sum += weight * x);
        }
        Aggregation::Min | Aggregation::Max => extremes(spec, numbers, row),
        Aggregation::Count => {}
        Aggregation::LogSumExp => {
            let (most, sums) = numbers.split_at_mut(row.len());
            let places = most.iter_mut().zip(sums).zip(row.iter());
            places.for_each(|((most, sum), x)| add_exponentials(most, sum, *x, weight));
        }
        _ => {
            let (mean, second) = numbers.split_at_mut(row.len());
            let share = weight / (before + weight);
            for (mean, x) in mean.iter_mut().zip(row.iter_mut()) {
                let delta = *x - *mean;
                // An infinite mean stays, whatever finite rows follow, so that their order does not show.
                if !mean.is_infinite() || x.is_nan() || (x.is_infinite() && *x != *mean) {
                    *mean += delta * share;
                }
                // Of an infinite deviation nothing is known about the spread.
                *x = if delta.is_finite() { delta } else { f64::NAN };
            }
            second_order(spec, second, row, before * share);
        }
    }
}

/// Takes the numbers of another state of the same kind; both have rows.
pub(super) fn merge(
    spec: Aggregation,
    numbers: &mut [f64],
    before: f64,
    other: &[f64],
    weight: f64,
    dim: usize,
) -> Result<()> {
    match spec {
        Aggregation::Sum | Aggregation::Mean => numbers.iter_mut().zip(other).for_each(|(sum, x)| *sum += x),
        Aggregation::Min | Aggregation::Max => extremes(spec, numbers, other),
        Aggregation::Count => {}
        Aggregation::LogSumExp => {
            let (most, sums) = numbers.split_at_mut(dim);
            let others = other.iter().zip(other.iter().skip(dim));
            let places = most.iter_mut().zip(sums).zip(others);
            places.for_each(|((most, sum), (x, parts))| add_exponentials(most, sum, *x, *parts));
        }
        _ if weight == 0.0 => {}
        _ => {
            let (other_mean, other_second) = other.split_at(dim);
            let mut row = gathered(other_mean.iter().copied(), dim)?;
            push(spec, numbers, before, &mut row, weight);
            let second = numbers.iter_mut().skip(dim);
            second.zip(other_second).for_each(|(second, x)| *second += x);
        }
    }
    Ok(())
}

/// The value, see [`super::Aggregate::finish`]; there is at least one row.
pub(super) fn finish(spec: Aggregation, numbers: &[f64], weight: f64, dim: usize) -> Result<Option<Aggregated>> {
    let of = |rows: usize, values: Vec<f64>| -> Result<Option<Aggregated>> {
        Ok(Some(Aggregated { rows, dim, values, beside: gathered(std::iter::repeat_n(weight, rows), rows)? }))
    };
    let (mean, second) = numbers.split_at(dim.min(numbers.len()));
    match spec {
        Aggregation::Mean => of(1, gathered(mean.iter().map(|sum| sum / weight), dim)?),
        Aggregation::Variance { ddof } | Aggregation::Covariance { ddof } if weight <= f64::from(ddof) => Ok(None),
        Aggregation::Variance { ddof } => {
            let divisor = weight - f64::from(ddof);
            let both = mean.iter().copied().chain(second.iter().map(|m2| m2 / divisor));
            of(2, gathered(both, numbers.len())?)
        }
        Aggregation::Covariance { ddof } => of(dim, full(second, dim, weight - f64::from(ddof))?),
        Aggregation::LogSumExp => of(1, gathered(mean.iter().zip(second).map(|(most, sum)| most + sum.ln()), dim)?),
        Aggregation::Pca { .. } if weight <= 1.0 => Ok(None),
        Aggregation::Pca { components } => components_of(mean, &full(second, dim, weight - 1.0)?, components),
        _ => of(1, gathered(mean.iter().copied(), dim)?),
    }
}

/// At most `len` numbers, or an error where memory is short.
fn gathered(values: impl Iterator<Item = f64>, len: usize) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    memory::reserve(&mut all, len)?;
    all.extend(values.take(len));
    Ok(all)
}

/// Adds `parts` times the exponential of `x` to a sum that is told relative to its largest exponent. NaN stays.
fn add_exponentials(most: &mut f64, sum: &mut f64, x: f64, parts: f64) {
    if x.is_nan() || most.is_nan() {
        *most = f64::NAN;
    } else if x > *most {
        *sum = *sum * (*most - x).exp() + parts;
        *most = x;
    } else {
        // Equal infinities have no difference.
        *sum += if x == *most { parts } else { parts * (x - *most).exp() };
    }
}

/// NaN seen once stays.
fn extremes(spec: Aggregation, numbers: &mut [f64], row: &[f64]) {
    let least = spec == Aggregation::Min;
    for (kept, &x) in numbers.iter_mut().zip(row) {
        // Of zeros the negative one is less, so that the order of rows does not show.
        let takes = x.is_nan() || if least { x.total_cmp(kept).is_lt() } else { x.total_cmp(kept).is_gt() };
        if takes && !kept.is_nan() {
            *kept = if x.is_nan() { f64::NAN } else { x };
        }
    }
}

fn second_order(spec: Aggregation, second: &mut [f64], delta: &[f64], factor: f64) {
    if let Aggregation::Variance { .. } = spec {
        second.iter_mut().zip(delta).for_each(|(m2, d)| *m2 += factor * d * d);
        return;
    }
    let mut rest = second;
    for (at, d) in delta.iter().enumerate() {
        let others = &delta[at..];
        let Some((row, below)) = rest.split_at_mut_checked(others.len()) else { return };
        let scaled = factor * d;
        row.iter_mut().zip(others).for_each(|(moment, other)| *moment += scaled * other);
        rest = below;
    }
}

/// The symmetric matrix of a triangle, divided.
fn full(triangle: &[f64], dim: usize, divisor: f64) -> Result<Vec<f64>> {
    let mut matrix = zeros(dim.saturating_mul(dim).min(NUMBERS_MAX * 2))?;
    let mut values = triangle.iter();
    for row in 0..dim {
        for (col, value) in (row..dim).zip(&mut values) {
            matrix[row * dim + col] = value / divisor;
            matrix[col * dim + row] = value / divisor;
        }
    }
    Ok(matrix)
}

#[cfg(feature = "linalg")]
fn components_of(mean: &[f64], covariance: &[f64], components: u32) -> Result<Option<Aggregated>> {
    use crate::kernels::linalg::{MatrixView, svd};
    let dim = mean.len();
    let count = usize::try_from(components).unwrap_or(dim).min(dim);
    let found = svd(MatrixView::new(covariance, dim, dim)?, count)?;
    let total = covariance.iter().step_by(dim.saturating_add(1)).sum();
    let mut values = gathered(mean.iter().copied(), dim)?;
    memory::reserve(&mut values, found.vt.len())?;
    values.extend_from_slice(&found.vt);
    let mut beside = vec![total];
    beside.extend_from_slice(&found.singular_values);
    Ok(Some(Aggregated { rows: beside.len(), dim, values, beside }))
}

#[cfg(not(feature = "linalg"))]
fn components_of(_: &[f64], _: &[f64], _: u32) -> Result<Option<Aggregated>> {
    Err(Error::new(crate::error::ErrorKind::Unsupported, "this build has no linear algebra").hint("use covariance"))
}

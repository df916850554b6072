//! Aggregates over vectors as small states: rows go in, states are exported, imported and merged at any moment, and a
//! value comes out at the end.
//!
//! ```
//! use tensoratom::aggregate::Aggregate;
//! use tensoratom::kernels::Rows;
//! # fn main() -> tensoratom::Result<()> {
//! let mut part = Aggregate::new("mean".parse()?)?;
//! part.push(Rows::of(2, &[1.0_f32, 2.0, 3.0, 4.0])?, None)?;
//! let mut whole = Aggregate::from_bytes(&part.to_bytes()?)?; // travelled
//! whole.push(Rows::one(&[5.0_f32, 9.0])?, None)?;
//! assert_eq!(whole.finish()?.map(|mean| mean.values), Some(vec![3.0, 5.0]));
//! # Ok(())
//! # }
//! ```
//!
//! **Order and partition.** `count`, `min`, `max`, `geometric_median`, `k_means` and `random_projection` give the same bits for
//! any order of the rows and any split into merged parts. Sums (of exponentials too), means, variances, covariances and components depend on both in their
//! last digits: `n` rows err by at most about `n 2⁻⁵³` relative to the sum of magnitudes (variances: times
//! `√(1 + mean² / variance)`).

mod bytes;
mod k_means;
mod linear;
mod median;
mod points;
mod spec;
#[cfg(test)]
mod tests;

pub use spec::{Aggregation, POINTS_DEFAULT};

use crate::error::{Error, ErrorKind, Result};
use crate::kernels::project::Projection;
use crate::kernels::{Rows, check_arithmetic, widen};
use crate::memory;

/// Numbers one state may hold, 128 MiB: a covariance of 5,791 dimensions.
pub const NUMBERS_MAX: usize = 1 << 24;

/// The largest weight of a row.
pub const WEIGHT_MAX: f64 = 1e30;

/// The state of an aggregate. `Clone` copies it; nothing is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    spec: Aggregation,
    /// 0 before the first row.
    dim: usize,
    count: u64,
    weight: f64,
    /// Largest priority of a point that was let go; 0 while all are kept.
    threshold: f64,
    /// What they mean depends on the kind; see `linear` and `points`.
    numbers: Vec<f64>,
}

/// The value of an aggregate: a row-major matrix, and one number beside each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregated {
    /// Number of rows; see [`Aggregation`] for what each is.
    pub rows: usize,
    /// Elements of a row.
    pub dim: usize,
    /// `rows * dim` elements.
    pub values: Vec<f64>,
    /// One per row: the weight of a cluster, the variance along a component, else the weight of all rows.
    pub beside: Vec<f64>,
}

impl Aggregate {
    /// An empty state. `InvalidArgument` for parameters out of range, `Unsupported` for `pca` in a build without the
    /// feature `linalg`.
    pub fn new(spec: Aggregation) -> Result<Self> {
        spec.check()?;
        Ok(Aggregate { spec, dim: 0, count: 0, weight: 0.0, threshold: 0.0, numbers: Vec::new() })
    }

    /// What is computed.
    pub fn spec(&self) -> Aggregation {
        self.spec
    }

    /// Elements of a row; `None` before the first.
    pub fn dim(&self) -> Option<usize> {
        (self.dim != 0).then_some(self.dim)
    }

    /// Rows taken; those of weight 0 are not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all rows, and the dimension.
    pub fn reset(&mut self) {
        *self = Aggregate { spec: self.spec, dim: 0, count: 0, weight: 0.0, threshold: 0.0, numbers: Vec::new() };
    }

    /// Takes rows of f64 f32 f16 bf16 or small integers, each with a weight (1 where there are none). On an error no row
    /// of the batch was taken (after `OutOfMemory` some may be). Does not block; allocates when the first row fixes the dimension, and for kept points.
    ///
    /// Weights are finite and 0 to [`WEIGHT_MAX`] (negative ones for `sum` only); a row of weight 0 is skipped. They count
    /// as frequencies. NaN and infinities spread as IEEE 754 says in sums, means, variances and covariances; NaN makes a
    /// minimum, a maximum and a sum of exponentials NaN; `geometric_median`, `k_means`, `random_projection` and `pca` refuse both with `InvalidArgument`.
    ///
    /// `InvalidShape` for another dimension than the first row's, for none, or for another number of weights than rows;
    /// `Unsupported` for other types; `OutOfMemory`, or `InvalidArgument` beyond [`NUMBERS_MAX`].
    pub fn push(&mut self, rows: Rows<'_>, weights: Option<&[f64]>) -> Result<()> {
        if rows.rows() == 0 {
            return Ok(());
        }
        check_arithmetic(rows)?;
        self.check_weights(rows.rows(), weights)?;
        let dim = rows.dim();
        if dim == 0 || (self.dim != 0 && self.dim != dim) {
            return Err(shape(format!("rows of {dim} elements where the state has {}", self.dim)));
        }
        let mut row = zeros(dim)?;
        if self.spec.needs_finite() {
            for index in 0..rows.rows() {
                widen(rows, index, &mut row);
                if let Some(column) = row.iter().position(|x| !x.is_finite()) {
                    let what = format!("row {index} has {} in column {column}", row[column]);
                    return Err(Error::invalid_argument(what).hint("this aggregate takes finite numbers only"));
                }
            }
        }
        if self.spec.points_max().is_some() {
            self.check_axes(dim)?;
            self.reserve_points(dim, rows.rows())?;
        } else if self.dim == 0 {
            self.numbers = linear::start(self.spec, dim)?;
        }
        self.dim = dim;
        for index in 0..rows.rows() {
            let weight = weights.map_or(1.0, |weights| weights[index]);
            if weight == 0.0 {
                continue;
            }
            widen(rows, index, &mut row);
            if self.spec.points_max().is_some() {
                self.push_point(&row, weight)?;
            } else {
                linear::push(self.spec, &mut self.numbers, self.weight, &mut row, weight);
            }
            self.count = self.count.saturating_add(1);
            self.weight += weight;
        }
        Ok(())
    }

    /// Takes all rows of another state. `InvalidArgument` when it computes something else, `InvalidShape` when its rows
    /// have another dimension; then nothing changed.
    pub fn merge(&mut self, other: &Aggregate) -> Result<()> {
        if self.spec != other.spec {
            return Err(Error::invalid_argument(format!("'{}' cannot take in '{}'", self.spec, other.spec)));
        }
        if other.dim == 0 {
            return Ok(());
        }
        if self.dim != 0 && self.dim != other.dim {
            return Err(shape(format!("rows of {} elements where the state has {}", other.dim, self.dim)));
        }
        if self.spec.points_max().is_some() {
            self.merge_points(other)?;
        } else if self.dim == 0 {
            let mut numbers = zeros(other.numbers.len())?;
            numbers.copy_from_slice(&other.numbers);
            self.numbers = numbers;
        } else {
            linear::merge(self.spec, &mut self.numbers, self.weight, &other.numbers, other.weight, self.dim)?;
        }
        self.dim = other.dim;
        self.count = self.count.saturating_add(other.count);
        self.weight += other.weight;
        Ok(())
    }

    /// The value, or `None` (SQL NULL) for too few rows: none, or for variances and covariances no more weight than
    /// `ddof`. `count` always has one. The state stays as it is. Allocates, and computes as long as [`Aggregation`] says.
    pub fn finish(&self) -> Result<Option<Aggregated>> {
        if self.spec == Aggregation::Count {
            return Ok(Some(Aggregated {
                rows: 1,
                dim: 1,
                values: vec![self.count as f64],
                beside: vec![self.weight],
            }));
        }
        if self.count == 0 {
            return Ok(None);
        }
        match self.spec {
            Aggregation::GeometricMedian { .. } => {
                let values = median::weiszfeld(&self.sample()?)?;
                Ok(Some(Aggregated { rows: 1, dim: self.dim, values, beside: vec![self.weight] }))
            }
            Aggregation::KMeans { k, seed, .. } => k_means::lloyd(&self.sample()?, k, seed).map(Some),
            Aggregation::RandomProjection { axes, seed, .. } => self.projected(axes, seed).map(Some),
            _ => linear::finish(self.spec, &self.numbers, self.weight, self.dim),
        }
    }

    /// The axes of a projection take as many numbers as a state may hold, and no more: they may come from another machine.
    fn check_axes(&self, dim: usize) -> Result<()> {
        let Aggregation::RandomProjection { axes, .. } = self.spec else { return Ok(()) };
        match usize::try_from(axes).ok().and_then(|axes| axes.checked_mul(dim)) {
            Some(numbers) if numbers <= NUMBERS_MAX => Ok(()),
            _ => Err(Error::invalid_argument(format!(
                "{axes} axes of {dim} dimensions are more than {NUMBERS_MAX} numbers"
            ))
            .hint("take fewer axes")),
        }
    }

    /// The kept points on random axes.
    fn projected(&self, axes: u32, seed: u64) -> Result<Aggregated> {
        self.check_axes(self.dim)?;
        let (sample, axes) = (self.sample()?, usize::try_from(axes).unwrap_or(usize::MAX));
        let projection = Projection::random(self.dim, axes, seed)?;
        let rows = sample.weights.len();
        let mut values = zeros(rows.saturating_mul(axes))?;
        projection.project_wide(&sample.coordinates, &mut values)?;
        Ok(Aggregated { rows, dim: axes, values, beside: sample.weights })
    }

    fn check_weights(&self, rows: usize, weights: Option<&[f64]>) -> Result<()> {
        let Some(weights) = weights else { return Ok(()) };
        if weights.len() != rows {
            return Err(shape(format!("{} weights for {rows} rows", weights.len())));
        }
        let least = if self.spec == Aggregation::Sum { -WEIGHT_MAX } else { 0.0 };
        match weights.iter().position(|weight| !(least..=WEIGHT_MAX).contains(weight)) {
            Some(row) => Err(Error::invalid_argument(format!("row {row} has the weight {}", weights[row]))),
            None => Ok(()),
        }
    }
}

fn shape(what: String) -> Error {
    Error::new(ErrorKind::InvalidShape, what).during("aggregate")
}

/// Zeros, or an error where memory is short.
fn zeros(len: usize) -> Result<Vec<f64>> {
    let mut zeros = Vec::new();
    reserve(&mut zeros, len)?;
    zeros.resize(len, 0.0);
    Ok(zeros)
}

fn reserve(numbers: &mut Vec<f64>, more: usize) -> Result<()> {
    if numbers.len().checked_add(more).is_none_or(|len| len > NUMBERS_MAX) {
        let what = format!("a state of more than {NUMBERS_MAX} numbers");
        return Err(Error::invalid_argument(what).hint("take fewer dimensions, or keep fewer points"));
    }
    memory::reserve(numbers, more)
}

//! Rows that are kept, up to a budget: a priority sample that depends on the set of rows alone.
//!
//! A point is its weight and then its coordinates. Up to twice the budget lie in the state between two clearings.

use std::cmp::Ordering;

use super::{Aggregate, Aggregation, reserve, zeros};
use crate::error::Result;
use crate::memory;

/// Kept points in their one order, with the weights they stand for.
pub(super) struct Sample {
    pub(super) dim: usize,
    pub(super) weights: Vec<f64>,
    /// Coordinates, point after point.
    pub(super) coordinates: Vec<f64>,
}

impl Sample {
    pub(super) fn points(&self) -> std::slice::ChunksExact<'_, f64> {
        self.coordinates.chunks_exact(self.dim)
    }
}

/// A step of SplitMix64 (Steele, Lea and Flood 2014): mixes bits, and draws numbers when called in a row.
pub(super) fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// In (0, 1].
pub(super) fn unit(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

impl Aggregate {
    /// Room for what a batch can add before the next clearing.
    pub(super) fn reserve_points(&mut self, dim: usize, rows: usize) -> Result<()> {
        let most = self.spec.points_max().unwrap_or(0).saturating_mul(2);
        let stride = dim.saturating_add(1);
        let held = self.numbers.len() / stride;
        reserve(&mut self.numbers, rows.min(most.saturating_sub(held)).saturating_mul(stride))
    }

    pub(super) fn push_point(&mut self, row: &[f64], weight: f64) -> Result<()> {
        self.numbers.push(weight);
        // One zero only, so that equal rows are equal bits.
        self.numbers.extend(row.iter().map(|x| x + 0.0));
        let most = self.spec.points_max().unwrap_or(0).saturating_mul(2);
        if self.numbers.len() / row.len().saturating_add(1) >= most { self.clear_out(row.len()) } else { Ok(()) }
    }

    pub(super) fn merge_points(&mut self, other: &Aggregate) -> Result<()> {
        let mut other = other.copied()?;
        other.clear_out(other.dim)?;
        self.clear_out(other.dim)?;
        reserve(&mut self.numbers, other.numbers.len())?;
        self.numbers.extend_from_slice(&other.numbers);
        self.threshold = self.threshold.max(other.threshold);
        self.clear_out(other.dim)
    }

    /// The kept points, each with the weight it stands for.
    pub(super) fn sample(&self) -> Result<Sample> {
        let mut kept = self.copied()?;
        kept.clear_out(self.dim)?;
        let stride = self.dim.saturating_add(1);
        let mut sample = Sample { dim: self.dim, weights: Vec::new(), coordinates: Vec::new() };
        reserve(&mut sample.coordinates, kept.numbers.len())?;
        reserve(&mut sample.weights, kept.numbers.len() / stride)?;
        for point in kept.numbers.chunks_exact(stride) {
            if let Some((weight, coordinates)) = point.split_first() {
                sample.weights.push(weight.max(kept.threshold));
                sample.coordinates.extend_from_slice(coordinates);
            }
        }
        Ok(sample)
    }

    /// A copy, or an error where memory is short.
    fn copied(&self) -> Result<Aggregate> {
        Ok(Aggregate { numbers: memory::copied(&self.numbers)?, ..*self })
    }

    /// Sorts by priority, keeps as many as the budget allows, remembers the largest priority of the others.
    fn clear_out(&mut self, dim: usize) -> Result<()> {
        let budget = self.spec.points_max().unwrap_or(0);
        let stride = dim.saturating_add(1);
        let seed = if let Aggregation::KMeans { seed, .. } = self.spec { seed } else { 0 };
        let mut order: Vec<(f64, &[f64])> = Vec::new();
        memory::reserve(&mut order, self.numbers.len() / stride)?;
        order.extend(self.numbers.chunks_exact(stride).map(|point| (priority(seed, point), point)));
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| compare(a.1, b.1)));
        if let Some((priority, _)) = order.get(budget) {
            self.threshold = self.threshold.max(*priority);
        }
        order.truncate(budget);
        let mut sorted = zeros(0)?;
        reserve(&mut sorted, order.len().saturating_mul(stride))?;
        order.iter().for_each(|(_, point)| sorted.extend_from_slice(point));
        self.numbers = sorted;
        Ok(())
    }
}

/// Weight over a draw that is a hash of the coordinates.
fn priority(seed: u64, point: &[f64]) -> f64 {
    let Some((weight, coordinates)) = point.split_first() else { return 0.0 };
    weight / unit(coordinates.iter().fold(mix(seed), |hash, x| mix(hash ^ x.to_bits())))
}

fn compare(a: &[f64], b: &[f64]) -> Ordering {
    let unequal = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
    unequal.unwrap_or(Ordering::Equal)
}

//! Clusters of kept points.

use super::median::distance;
use super::points::{Sample, mix, unit};
use super::{Aggregated, zeros};
use crate::error::Result;
use crate::memory;

const ITERATIONS_MAX: usize = 100;

/// k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's iteration until no point moves. Draws depend on `seed` alone.
pub(super) fn lloyd(sample: &Sample, k: u32, seed: u64) -> Result<Aggregated> {
    let dim = sample.dim;
    let mut centres = seeded(sample, k, seed)?;
    let k = centres.len() / dim;
    // No owner yet is one that no centre is.
    let mut owners: Vec<usize> = memory::zeroed(sample.weights.len())?;
    owners.fill(usize::MAX);
    let mut weights = zeros(k)?;
    for _ in 0..ITERATIONS_MAX {
        let mut moved = false;
        for (point, owner) in sample.points().zip(&mut owners) {
            let nearest = nearest(point, &centres, dim);
            moved |= std::mem::replace(owner, nearest) != nearest;
        }
        if !moved {
            break;
        }
        weights.fill(0.0);
        owners.iter().zip(&sample.weights).for_each(|(&owner, weight)| weights[owner] += weight);
        // A centre without points stays where it is.
        for (centre, weight) in centres.chunks_exact_mut(dim).zip(&weights) {
            if *weight > 0.0 {
                centre.fill(0.0);
            }
        }
        for ((point, &owner), weight) in sample.points().zip(&owners).zip(&sample.weights) {
            let centre = centres.iter_mut().skip(owner * dim);
            centre.zip(point).for_each(|(sum, x)| *sum += x * (weight / weights[owner]));
        }
    }
    let mut order: Vec<usize> = Vec::new();
    memory::reserve(&mut order, k)?;
    order.extend((0..k).filter(|&i| weights[i] > 0.0));
    // Ties by place: what a stable sort would do with more memory.
    order.sort_unstable_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    let (mut values, mut beside) = (Vec::new(), Vec::new());
    memory::reserve(&mut values, order.len() * dim)?;
    memory::reserve(&mut beside, order.len())?;
    values.extend(order.iter().flat_map(|&i| &centres[i * dim..][..dim]));
    beside.extend(order.iter().map(|&i| weights[i]));
    Ok(Aggregated { rows: order.len(), dim, values, beside })
}

/// Up to `k` distinct points.
fn seeded(sample: &Sample, k: u32, seed: u64) -> Result<Vec<f64>> {
    let mut centres: Vec<f64> = Vec::new();
    let mut chances = zeros(sample.weights.len())?;
    chances.copy_from_slice(&sample.weights);
    let mut least = zeros(chances.len())?;
    least.fill(f64::INFINITY);
    for draw in 0..u64::from(k) {
        let mut left = unit(mix(mix(seed) ^ draw)) * chances.iter().sum::<f64>();
        // The last possible one where rounding leaves a rest.
        let mut chosen = None;
        for (index, &chance) in chances.iter().enumerate().filter(|(_, chance)| **chance > 0.0) {
            chosen = Some(index);
            left -= chance;
            if left <= 0.0 {
                break;
            }
        }
        let Some(centre) = chosen.and_then(|index| sample.points().nth(index)) else { break };
        memory::reserve(&mut centres, sample.dim)?;
        centres.extend_from_slice(centre);
        for (((chance, least), weight), point) in
            chances.iter_mut().zip(&mut least).zip(&sample.weights).zip(sample.points())
        {
            *least = distance(point, centre).min(*least);
            *chance = weight * *least * *least;
        }
    }
    Ok(centres)
}

fn nearest(point: &[f64], centres: &[f64], dim: usize) -> usize {
    let distances = centres.chunks_exact(dim).map(|centre| distance(point, centre)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

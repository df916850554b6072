//! The geometric median of kept points.

use super::points::Sample;
use super::zeros;
use crate::error::Result;

const PASSES_MAX: usize = 1000;

/// Weiszfeld's iteration from the mean; at a point of the set the step of Vardi and Zhang (*The multivariate L1-median and
/// associated data depth*, 2000). Stops when a step is 10⁻¹² of the spread, or after [`PASSES_MAX`].
pub(super) fn weiszfeld(sample: &Sample) -> Result<Vec<f64>> {
    let (dim, total) = (sample.dim, sample.weights.iter().sum::<f64>());
    let mut at = zeros(dim)?;
    for (point, weight) in sample.points().zip(&sample.weights) {
        at.iter_mut().zip(point).for_each(|(sum, x)| *sum += x * (weight / total));
    }
    let (mut next, mut pull) = (zeros(dim)?, zeros(dim)?);
    for _ in 0..PASSES_MAX {
        next.fill(0.0);
        pull.fill(0.0);
        let (mut inverse, mut here, mut spread) = (0.0, 0.0, 0.0);
        for (point, &weight) in sample.points().zip(&sample.weights) {
            let distance = distance(point, &at);
            if distance == 0.0 {
                here += weight;
                continue;
            }
            let share = weight / distance;
            inverse += share;
            spread += weight / total * distance;
            for ((next, pull), (x, at)) in next.iter_mut().zip(&mut pull).zip(point.iter().zip(&at)) {
                *next += share * x;
                *pull += share * (x - at);
            }
        }
        let pulled = pull.iter().map(|x| x * x).sum::<f64>().sqrt();
        if inverse == 0.0 || pulled <= here {
            break;
        }
        let stay = here / pulled;
        next.iter_mut().zip(&at).for_each(|(next, at)| *next = *next / inverse * (1.0 - stay) + at * stay);
        let step = distance(&next, &at);
        std::mem::swap(&mut at, &mut next);
        if step <= 1e-12 * spread {
            break;
        }
    }
    Ok(at)
}

pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

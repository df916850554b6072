//! The nearest of many distances.

use std::cmp::Ordering;

use crate::error::Result;
use crate::memory::reserve;

/// The indices of the `k` smallest distances, ordered by distance, then index; all of them when there are fewer. NaN
/// sorts last, -0 equals 0. Takes time in proportion to the length (selection), plus the sort of the `k`, and 8 bytes per
/// distance; `OutOfMemory` where they cannot be had.
pub fn top_k(distances: &[f64], k: usize) -> Result<Vec<usize>> {
    let order = |&a: &usize, &b: &usize| compare(distances[a], distances[b]).then(a.cmp(&b));
    let mut indices = Vec::new();
    reserve(&mut indices, distances.len())?;
    indices.extend(0..distances.len());
    if let Some(last) = k.checked_sub(1).filter(|&last| last < indices.len()) {
        indices.select_nth_unstable_by(last, order);
    }
    indices.truncate(k);
    indices.sort_unstable_by(order);
    Ok(indices)
}

/// Order of two distances: smaller first, NaN last and equal to NaN.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random::Random;

    // A NaN distance in front would answer a search with rows that have no distance at all.
    #[test]
    fn ties_go_by_index_and_nan_goes_last() {
        let distances = [2.0, f64::NAN, 1.0, -0.0, 0.0, 1.0, f64::NEG_INFINITY, f64::INFINITY];
        assert_eq!(top_k(&distances, 20).unwrap(), [6, 3, 4, 2, 5, 0, 7, 1]);
        assert_eq!(top_k(&distances, 4).unwrap(), [6, 3, 4, 2]);
        assert!(top_k(&distances, 0).unwrap().is_empty() && top_k(&[], 3).unwrap().is_empty());
    }

    #[test]
    fn equals_a_stable_sort_cut_off() {
        let mut random = Random::new(7);
        for len in [1, 2, 17, 300] {
            let distances: Vec<f64> = (0..len).map(|_| random.below(20) as f64).collect();
            let mut sorted: Vec<usize> = (0..len).collect();
            sorted.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
            for k in 0..=len {
                assert_eq!(top_k(&distances, k).unwrap(), sorted[..k]);
            }
        }
    }
}

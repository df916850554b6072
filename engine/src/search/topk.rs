//! The k nearest so far, in an order that is total: by distance, NaN last, then by id. The best k of a set under a total
//! order do not depend on who found them when, which is why results do not depend on threads.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering as Memory};

use super::Neighbor;
use crate::error::{Error, ErrorKind, Result};

/// A neighbour in the order of results.
#[derive(Clone, Copy, Debug)]
struct Ranked(Neighbor);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.0, &other.0);
        // Only NaN is incomparable; 0 and -0 are equal.
        let by_distance =
            a.distance.partial_cmp(&b.distance).unwrap_or_else(|| a.distance.is_nan().cmp(&b.distance.is_nan()));
        by_distance.then(a.id.cmp(&b.id))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

/// The best k seen.
#[derive(Clone, Debug)]
pub(super) struct TopK {
    k: usize,
    /// Nothing farther than this is taken, NaN neither; none takes all.
    distance_max: Option<f64>,
    /// Worst on top.
    heap: BinaryHeap<Ranked>,
}

impl TopK {
    pub(super) fn new(k: usize, distance_max: Option<f64>) -> Self {
        TopK { k, distance_max, heap: BinaryHeap::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, id: i64, distance: f64) {
        if !self.distance_max.is_none_or(|max| distance <= max) {
            return;
        }
        let ranked = Ranked(Neighbor { id, distance });
        if self.heap.len() < self.k {
            self.heap.push(ranked);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && ranked < *worst
        {
            *worst = ranked;
        }
    }

    /// Room for what so many rows may add.
    pub(super) fn reserve(&mut self, rows: usize) -> Result<()> {
        self.heap.try_reserve(self.missing().min(rows)).map_err(|e| {
            let what = format!("no memory for {} neighbours of a query", self.k);
            Error::new(ErrorKind::OutOfMemory, what).source_box(e.into())
        })
    }

    /// How many more would be taken whatever their distance.
    pub(super) fn missing(&self) -> usize {
        self.k - self.heap.len()
    }

    /// No row farther away than this will be taken.
    pub(super) fn limit(&self) -> f64 {
        let worst = if self.missing() > 0 { f64::NAN } else { self.heap.peek().map_or(f64::NAN, |w| w.0.distance) };
        match (worst.is_nan(), self.distance_max) {
            (true, max) => max.unwrap_or(f64::INFINITY),
            (false, max) => max.map_or(worst, |max| worst.min(max)),
        }
    }

    /// Takes what another found.
    pub(super) fn merge(&mut self, other: TopK) -> Result<()> {
        self.reserve(other.heap.len())?;
        other.heap.into_iter().for_each(|Ranked(found)| self.push(found.id, found.distance));
        Ok(())
    }

    /// Nearest first.
    pub(super) fn into_sorted(self) -> Vec<Neighbor> {
        self.heap.into_sorted_vec().into_iter().map(|Ranked(found)| found).collect()
    }
}

/// The smallest limit any thread has reached.
#[derive(Debug)]
pub(super) struct SharedLimit(AtomicU64);

impl SharedLimit {
    pub(super) fn new() -> Self {
        SharedLimit(AtomicU64::new(ordered(f64::INFINITY)))
    }

    pub(super) fn lower(&self, limit: f64) {
        let bits = ordered(limit);
        if bits < self.0.load(Memory::Relaxed) {
            self.0.fetch_min(bits, Memory::Relaxed);
        }
    }

    pub(super) fn get(&self) -> f64 {
        let bits = self.0.load(Memory::Relaxed);
        f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
    }
}

/// Bits that sort as the numbers do, for all but NaN.
fn ordered(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_sorts_last_and_ties_by_id() {
        let mut best = TopK::new(5, None);
        for (id, distance) in
            [(1, f64::NAN), (9, 1.0), (2, 1.0), (3, f64::NEG_INFINITY), (4, f64::NAN), (5, 0.0), (0, -0.0)]
        {
            best.push(id, distance);
        }
        let ids: Vec<i64> = best.into_sorted().iter().map(|found| found.id).collect();
        assert_eq!(ids, [3, 0, 5, 2, 9]);
    }

    #[test]
    fn limits_only_go_down_and_keep_their_bits() {
        let limit = SharedLimit::new();
        for x in [1e300, 5.0, 7.0, -0.0, -3.5, f64::NEG_INFINITY] {
            limit.lower(x);
            assert!(limit.get() <= x);
        }
        assert_eq!(limit.get(), f64::NEG_INFINITY);
        let mut best = TopK::new(1, None);
        assert_eq!(best.limit(), f64::INFINITY);
        best.push(1, f64::NAN);
        assert_eq!(best.limit(), f64::INFINITY, "a NaN excludes nothing");
        best.push(2, 4.0);
        assert_eq!(best.limit(), 4.0);
    }
}

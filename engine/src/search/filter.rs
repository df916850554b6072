//! Which rows of a part a search looks at: those not deleted, in the id range, allowed, not denied. Ids of a part ascend,
//! so ranges and lists become rows by binary search.

use std::ops::Range;

use roaring::RoaringBitmap;

use crate::tensor::TensorView;

use super::SearchOptions;

/// The ids of a part's rows.
#[derive(Clone, Debug)]
pub(crate) enum Ids {
    /// Row number and id are the same.
    Rows,
    /// Strictly ascending, one per row.
    Listed(TensorView<i64>),
}

impl Ids {
    #[inline]
    pub(crate) fn id(&self, row: u32) -> i64 {
        match self {
            Ids::Rows => i64::from(row),
            Ids::Listed(ids) => ids[row as usize],
        }
    }

    /// The first row, at or after `from`, whose id is at least this.
    fn first_at_least(&self, id: i64, from: u32, rows: u32) -> u32 {
        match self {
            Ids::Rows => u32::try_from(id.max(0)).unwrap_or(u32::MAX).clamp(from, rows),
            Ids::Listed(ids) => {
                // Galloping: lists are looked up in order, and the next one is often near.
                let (mut step, mut low) = (1_u32, from);
                while low.saturating_add(step) < rows && ids[(low + step) as usize] < id {
                    low += step;
                    step = step.saturating_mul(2);
                }
                let high = low.saturating_add(step).saturating_add(1).min(rows);
                low + ids[low as usize..high as usize].partition_point(|&x| x < id) as u32
            }
        }
    }
}

/// The rows a search looks at: a range, and of that the members of a set, if there is one.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    pub(super) range: Range<u32>,
    members: Option<RoaringBitmap>,
}

/// What is to be looked at in a block of rows.
pub(super) enum Chosen {
    All,
    /// Rows counted from the start of the block.
    Some(Vec<u32>),
}

impl Selection {
    pub(super) fn new(rows: u32, ids: &Ids, dead: Option<&RoaringBitmap>, options: &SearchOptions<'_>) -> Self {
        let range = match &options.id_range {
            None => 0..rows,
            Some(wanted) if wanted.is_empty() => 0..0,
            Some(wanted) => {
                let start = ids.first_at_least(*wanted.start(), 0, rows);
                let end = wanted.end().checked_add(1).map_or(rows, |end| ids.first_at_least(end, start, rows));
                start..end
            }
        };
        let rows_of = |list: &[i64]| {
            let mut found = RoaringBitmap::new();
            let mut row = range.start;
            for &id in list {
                row = ids.first_at_least(id, row, range.end);
                if row == range.end {
                    break;
                }
                if ids.id(row) == id {
                    found.insert(row);
                }
            }
            found
        };
        let mut members = options.allow.as_deref().map(rows_of);
        let excluded = options.deny.as_deref().map(rows_of);
        for gone in [excluded.as_ref(), dead].into_iter().flatten().filter(|gone| !gone.is_empty()) {
            let all = || {
                let mut all = RoaringBitmap::new();
                all.insert_range(range.clone());
                all
            };
            *members.get_or_insert_with(all) -= gone;
        }
        Selection { range, members }
    }

    /// The rows of a block; none if there is nothing to look at.
    pub(super) fn chosen(&self, block: &Range<u32>) -> Option<Chosen> {
        let inside = block.start.max(self.range.start)..block.end.min(self.range.end);
        if inside.is_empty() {
            return None;
        }
        let len = u64::from(block.end - block.start);
        let rows: Vec<u32> = match &self.members {
            None if inside == *block => return Some(Chosen::All),
            None => inside.map(|row| row - block.start).collect(),
            Some(members) if members.range_cardinality(inside.clone()) == len => return Some(Chosen::All),
            Some(members) => members.range(inside).map(|row| row - block.start).collect(),
        };
        if rows.is_empty() { None } else { Some(Chosen::Some(rows)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{AlignedBuffer, Bytes};
    use crate::dtype::DType;
    use crate::testing::random::Random;
    use zerocopy::IntoBytes;

    fn listed(ids: &[i64]) -> Ids {
        let mut buffer = AlignedBuffer::zeroed(ids.len() * 8).unwrap();
        buffer.as_mut_slice().copy_from_slice(ids.as_bytes());
        Ids::Listed(TensorView::new(DType::I64, vec![ids.len() as u64], Bytes::owned(buffer)).unwrap())
    }

    // A row too many is a neighbour the caller forbade, one too few a neighbour lost.
    #[test]
    fn the_rows_chosen_are_those_a_plain_filter_chooses() {
        let mut random = Random::new(7);
        for _ in 0..500 {
            let count = random.below(50) as usize;
            let mut ids: Vec<i64> = (0..count).map(|_| random.below(60) as i64 - 30).collect();
            ids.sort_unstable();
            ids.dedup();
            if random.one_in(5) {
                ids = [i64::MIN, -1, i64::MAX].to_vec();
            }
            let sparse =
                |random: &mut Random| (0..random.below(30)).map(|_| random.below(70) as i64 - 35).collect::<Vec<_>>();
            let mut options = SearchOptions::new();
            let (allow, deny) = (sparse(&mut random), sparse(&mut random));
            let (low, high) = (random.below(60) as i64 - 30, random.below(60) as i64 - 30);
            let uses = random.below(8);
            if uses & 1 > 0 {
                options = options.allow(allow.clone());
            }
            if uses & 2 > 0 {
                options = options.deny(deny.clone());
            }
            if uses & 4 > 0 {
                options = options.id_range(low..=high);
            }
            let dead: RoaringBitmap = (0..random.below(10)).map(|_| random.below(50) as u32).collect();
            let rows = ids.len() as u32;
            let wanted: Vec<u32> = (0..rows)
                .filter(|&row| {
                    let id = ids[row as usize];
                    !dead.contains(row)
                        && (uses & 1 == 0 || allow.contains(&id))
                        && (uses & 2 == 0 || !deny.contains(&id))
                        && (uses & 4 == 0 || (low..=high).contains(&id))
                })
                .collect();
            let selection = Selection::new(rows, &listed(&ids), Some(&dead), &options);
            let mut found = Vec::new();
            for start in (0..rows).step_by(7) {
                let block = start..(start + 7).min(rows);
                match selection.chosen(&block) {
                    None => {}
                    Some(Chosen::All) => found.extend(block),
                    Some(Chosen::Some(rows)) => found.extend(rows.into_iter().map(|row| row + start)),
                }
            }
            assert_eq!(found, wanted);
        }
    }
}

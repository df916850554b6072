//! What a search leaves out: lists of ids, a range of ids, a largest distance.

use engine::SearchOptions;

use crate::math;
use crate::memory::{input, size, span, structure, zeroed};
use crate::wall::{Failure, Outcome};

/// Heed `allow`, even an empty one.
pub const TA_SEARCH_ALLOW: u32 = 1;
/// Heed `id_min` and `id_max`.
pub const TA_SEARCH_ID_RANGE: u32 = 2;
/// Heed `distance_max`.
pub const TA_SEARCH_DISTANCE_MAX: u32 = 4;
/// Compare every vector in full precision, companion or not: the results are the same. For measurements.
pub const TA_SEARCH_FULL_SCAN: u32 = 8;

/// What a search leaves out. All zero: nothing, by the metric of the set, on all cores.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ta_search_options {
    /// TA_SEARCH_ALLOW, TA_SEARCH_ID_RANGE, TA_SEARCH_DISTANCE_MAX, TA_SEARCH_FULL_SCAN or-ed together.
    pub flags: u32,
    /// Another metric than that of the set; 0 for its own.
    pub metric: u32,
    /// Only these ids, in any order.
    pub allow: *const i64,
    /// Number of ids at `allow`.
    pub allow_count: u64,
    /// Not these ids, in any order.
    pub deny: *const i64,
    /// Number of ids at `deny`.
    pub deny_count: u64,
    /// First id of the range.
    pub id_min: i64,
    /// Last id of the range.
    pub id_max: i64,
    /// Nothing farther away. A least inner product `s` is the distance -s, a least cosine similarity `s` is 1 - s.
    pub distance_max: f64,
    /// At most so many threads; 0 for all. Results do not depend on it.
    pub threads: u64,
}

/// What the engine is to leave out.
pub(crate) fn options(pointer: *const ta_search_options) -> Outcome<SearchOptions<'static>> {
    let mut options = SearchOptions::new();
    let Some(c) = structure(pointer)? else { return Ok(options) };
    let unknown = c.flags & !(TA_SEARCH_ALLOW | TA_SEARCH_ID_RANGE | TA_SEARCH_DISTANCE_MAX | TA_SEARCH_FULL_SCAN);
    if unknown != 0 {
        return Err(Failure::argument(format!("flags {unknown:#x} are not known")));
    }
    let is_set = |flag: u32| c.flags & flag != 0;
    if is_set(TA_SEARCH_ALLOW) {
        options = options.allow(ids(c.allow, c.allow_count)?);
    } else if c.allow_count != 0 {
        return Err(Failure::argument("ids at allow without TA_SEARCH_ALLOW"));
    }
    if c.deny_count != 0 {
        options = options.deny(ids(c.deny, c.deny_count)?);
    }
    if is_set(TA_SEARCH_ID_RANGE) {
        options = options.id_range(c.id_min..=c.id_max);
    }
    if is_set(TA_SEARCH_DISTANCE_MAX) {
        options = options.distance_max(c.distance_max);
    }
    if c.metric != 0 {
        options = options.metric(math::metric(c.metric)?);
    }
    Ok(options.threads(size(c.threads)?).full_scan(is_set(TA_SEARCH_FULL_SCAN)))
}

/// Where the lists of ids lie, and the struct itself.
pub(crate) fn lists(pointer: *const ta_search_options) -> Outcome<Vec<(usize, u64)>> {
    let Some(c) = structure(pointer)? else { return Ok(Vec::new()) };
    Ok(vec![span(pointer, 1), span(c.allow, c.allow_count), span(c.deny, c.deny_count)])
}

/// A copy of ids of the caller.
fn ids(pointer: *const i64, count: u64) -> Outcome<Vec<i64>> {
    let lent = input(pointer, count)?;
    let mut own = zeroed(lent.len())?;
    own.copy_from_slice(lent);
    Ok(own)
}

//! Vector sets and exact search.

use std::ffi::c_void;

use engine::kernels::Rows;
use engine::{CompactOptions, Neighbor, SearchOptions, Snapshot, Store, VectorSet};

use crate::filter::ta_search_options;
use crate::math::{self, dtype, extent, rows};
use crate::memory::{One, apart, input, output, required, size, span};
use crate::options::{address, ta_key};
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, filter, handle};

/// Opens a vector set by its name, or makes it. TA_CONFLICT or TA_INVALID_ARGUMENT where one of other facts is there.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_open(
    store: u64,
    name: *const ta_key,
    dim: u64,
    dtype: u32,
    metric: u32,
    vectors: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(vectors)?;
        let name = required(name, "the name")?;
        let engine = handle::get::<Store>(store)?;
        let address = address(&engine, &name)?;
        let set = engine.vectors(address, size(dim)?, self::dtype(dtype)?, math::metric(metric)?)?;
        out.set(handle::add(handle::tag(store), set)?)
    })
}

/// Opens a vector set that is there, by its name alone. TA_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_find(store: u64, name: *const ta_key, vectors: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(vectors)?;
        let name = required(name, "the name")?;
        let engine = handle::get::<Store>(store)?;
        let set = engine.vector_set(address(&engine, &name)?)?;
        out.set(handle::add(handle::tag(store), set)?)
    })
}

/// What a set was made with: elements of a vector, their type, the metric of its searches.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_facts(
    vectors: u64,
    dim: *mut u64,
    dtype: *mut u32,
    metric: *mut u32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(dim, 1), span(dtype, 1), span(metric, 1)], &[])?;
        let (to_dim, to_dtype, to_metric) = (One::at(dim)?, One::at(dtype)?, One::at(metric)?);
        let set = handle::get::<VectorSet>(vectors)?;
        to_dim.set(set.dim() as u64)?;
        to_dtype.set(u32::from(set.dtype().number()))?;
        to_metric.set(u32::from(set.metric().number()))
    })
}

/// The set of a handle and `count` vectors for it.
fn vectors<'a>(set: &VectorSet, data: *const c_void, count: u64, stride: u64) -> Outcome<Rows<'a>> {
    rows(data, u32::from(set.dtype().number()), count, set.dim() as u64, stride)
}

/// Gives ids and vectors of the caller to one of the ways a set takes them.
fn write(
    set: u64,
    (ids, count): (*const i64, u64),
    (data, stride): (*const c_void, u64),
    how: impl FnOnce(&VectorSet, &[i64], Rows<'_>) -> engine::Result<()>,
) -> Outcome {
    let set = handle::get::<VectorSet>(set)?;
    Ok(how(&set, input(ids, count)?, vectors(&set, data, count, stride)?)?)
}

/// Appends vectors of the set's type under new ids, in one commit. Stride in bytes, 0 for none between rows.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_append(
    vectors: u64,
    ids: *const i64,
    count: u64,
    data: *const c_void,
    stride: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || write(vectors, (ids, count), (data, stride), VectorSet::append))
}

/// As ta_vectors_append; ids that are there are replaced.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_upsert(
    vectors: u64,
    ids: *const i64,
    count: u64,
    data: *const c_void,
    stride: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || write(vectors, (ids, count), (data, stride), VectorSet::upsert))
}

/// Deletes ids, in one commit; `deleted` is how many were there.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_delete(
    vectors: u64,
    ids: *const i64,
    count: u64,
    deleted: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(deleted)?;
        out.set(handle::get::<VectorSet>(vectors)?.delete(input(ids, count)?)?)
    })
}

/// Number of vectors.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_count(vectors: u64, count: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(count)?;
        out.set(handle::get::<VectorSet>(vectors)?.len()?)
    })
}

/// Rewrites parts with many deleted rows and joins small ones; `parts` is how many were rewritten.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_compact(vectors: u64, cancel: u64, parts: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(parts)?;
        let flag = cancel::flag(cancel)?;
        let set = handle::get::<VectorSet>(vectors)?;
        out.set(set.compact(&CompactOptions::new(), &cancel::control(&flag))?)
    })
}

/// Hands out what a search found: `k` places for each query, `counts` of them filled.
fn hand_out(
    found: Vec<Vec<Neighbor>>,
    k: u64,
    (ids, distances, counts): (&mut [i64], &mut [f64], &mut [u64]),
) -> Outcome {
    for (query, neighbors) in found.iter().enumerate() {
        let start = query * size(k)?;
        for (at, neighbor) in neighbors.iter().enumerate() {
            (ids[start + at], distances[start + at]) = (neighbor.id, neighbor.distance);
        }
        counts[query] = neighbors.len() as u64;
    }
    Ok(())
}

type Places<'a> = (&'a mut [i64], &'a mut [f64], &'a mut [u64]);

/// Places for what `queries` find, apart from one another and from the queries.
fn places<'a>(
    queries: &Rows<'_>,
    k: u64,
    (ids, distances, counts): (*mut i64, *mut f64, *mut u64),
    lists: &[(usize, u64)],
) -> Outcome<Places<'a>> {
    let inputs: Vec<_> = lists.iter().copied().chain([extent(queries)]).collect();
    let queries = queries.rows() as u64;
    let all = queries.checked_mul(k).ok_or_else(|| Failure::argument("queries * k is beyond 64 bits"))?;
    apart(&[span(ids, all), span(distances, all), span(counts, queries)], &inputs)?;
    Ok((output(ids, all)?, output(distances, all)?, output(counts, queries)?))
}

/// The `k` nearest vectors of a set to each of `queries` vectors of its type, exactly, nearest first, equal ones by id.
/// `ids` and `distances` take queries * k values, `counts` how many of each k were found.
#[unsafe(no_mangle)]
pub extern "C" fn ta_search(
    vectors: u64,
    data: *const c_void,
    queries: u64,
    k: u64,
    cancel: u64,
    ids: *mut i64,
    distances: *mut f64,
    counts: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_search_with(vectors, std::ptr::null(), data, queries, k, cancel, ids, distances, counts, error)
}

/// As ta_search, among the vectors that `options` (may be NULL) leaves.
#[unsafe(no_mangle)]
pub extern "C" fn ta_search_with(
    vectors: u64,
    options: *const ta_search_options,
    data: *const c_void,
    queries: u64,
    k: u64,
    cancel: u64,
    ids: *mut i64,
    distances: *mut f64,
    counts: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let set = handle::get::<VectorSet>(vectors)?;
        let rows = self::vectors(&set, data, queries, 0)?;
        let out = places(&rows, k, (ids, distances, counts), &filter::lists(options)?)?;
        let flag = cancel::flag(cancel)?;
        let options = filter::options(options)?.control(cancel::control(&flag));
        hand_out(set.search(rows, size(k)?, &options)?, k, out)
    })
}

/// As ta_search, in a stored tensor of two dimensions, in place; an id is the number of a row.
#[unsafe(no_mangle)]
pub extern "C" fn ta_search_matrix(
    snapshot: u64,
    key: *const ta_key,
    metric: u32,
    data: *const c_void,
    queries: u64,
    k: u64,
    cancel: u64,
    ids: *mut i64,
    distances: *mut f64,
    counts: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let key = required(key, "the key")?;
        let snapshot = handle::get::<Snapshot>(snapshot)?;
        let matrix = snapshot.matrix(address(snapshot.store(), &key)?, math::metric(metric)?)?;
        let rows = rows(data, u32::from(matrix.dtype().number()), queries, matrix.dim() as u64, 0)?;
        let (flag, out) = (cancel::flag(cancel)?, places(&rows, k, (ids, distances, counts), &[])?);
        let options = SearchOptions::new().control(cancel::control(&flag));
        hand_out(matrix.search(rows, size(k)?, &options)?, k, out)
    })
}

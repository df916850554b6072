//! Vector sets and exact search.

use std::ffi::c_void;
use std::sync::{Arc, Weak};

use engine::kernels::Rows;
use engine::{CompactOptions, Companions, Neighbor, Snapshot, Store, VectorSet, VectorSnapshot};

use crate::filter::ta_search_options;
use crate::math::{self, dtype, extent, rows};
use crate::memory::{One, apart, input, output, required, size, span};
use crate::options::{address, ta_key};
use crate::txn::Txn;
use crate::wall::{Failure, Outcome, ta_error, wall};
use crate::{cancel, filter, handle};

/// Appended vectors get a companion where that pays: parts of 1,024 and more, of types larger than a byte.
pub const TA_COMPANIONS_AUTO: u32 = 0;
/// They do in parts of any size.
pub const TA_COMPANIONS_ALWAYS: u32 = 1;
/// They do not; ta_vectors_build_companions makes them later.
pub const TA_COMPANIONS_NEVER: u32 = 2;

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

/// Makes a view of a vector set as a snapshot shows it, or as a transaction sees it, what it staged included. It takes all
/// calls that read or search a set, shows the same whatever is committed, and takes no changes: TA_INVALID_HANDLE. So is a view
/// of a transaction once that was committed or closed. Close it with ta_close.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_view(from: u64, name: *const ta_key, view: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(view)?;
        let name = required(name, "the name")?;
        let made = if handle::claims::<Txn>(from) {
            let txn = handle::get::<Txn>(from)?;
            let shows = txn.with(|store, txn| Ok(txn.vectors(address(store, &name)?)?.view()?))?;
            View { shows, of: Some(Arc::downgrade(&txn)) }
        } else {
            let snapshot = handle::get::<Snapshot>(from)?;
            View { shows: snapshot.vector_set(address(snapshot.store(), &name)?)?, of: None }
        };
        out.set(handle::add(handle::tag(from), made)?)
    })
}

/// A view of a set; where it is one of a transaction, for as long as that is open.
pub struct View {
    shows: VectorSnapshot,
    of: Option<Weak<Txn>>,
}

/// Runs with what a call that reads is given: a view, or a set as it is now. A transaction whose view it is waits meanwhile.
pub(crate) fn with_view<R>(vectors: u64, body: impl FnOnce(&VectorSnapshot) -> Outcome<R>) -> Outcome<R> {
    if !handle::claims::<View>(vectors) {
        return body(&handle::get::<VectorSet>(vectors)?.snapshot()?);
    }
    let view = handle::get::<View>(vectors)?;
    match &view.of {
        None => body(&view.shows),
        Some(txn) => {
            let ended = || Failure::handle("the transaction of the view was closed");
            txn.upgrade().ok_or_else(ended)?.with(|_, _| body(&view.shows))
        }
    }
}

/// Makes another handle of a set, through which vectors are appended and upserted with companions as said: TA_COMPANIONS_AUTO,
/// as all other handles do, TA_COMPANIONS_ALWAYS, TA_COMPANIONS_NEVER. Close both.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_with_companions(
    vectors: u64,
    companions: u32,
    with: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(with)?;
        let companions = match companions {
            TA_COMPANIONS_AUTO => Companions::Auto,
            TA_COMPANIONS_ALWAYS => Companions::Always,
            TA_COMPANIONS_NEVER => Companions::Never,
            other => return Err(Failure::argument(format!("companions of {other} are not known"))),
        };
        let set = handle::get::<VectorSet>(vectors)?.as_ref().clone();
        out.set(handle::add(handle::tag(vectors), set.companions(companions))?)
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
        let (dim, dtype, metric) = if handle::claims::<View>(vectors) {
            with_view(vectors, |view| Ok((view.dim(), view.dtype(), view.metric())))?
        } else {
            let set = handle::get::<VectorSet>(vectors)?;
            (set.dim(), set.dtype(), set.metric())
        };
        to_dim.set(dim as u64)?;
        to_dtype.set(u32::from(dtype.number()))?;
        to_metric.set(u32::from(metric.number()))
    })
}

/// Gives ids and vectors of the caller to one of the ways a set takes them.
fn write(
    set: u64,
    (ids, count): (*const i64, u64),
    (data, stride): (*const c_void, u64),
    how: impl FnOnce(&VectorSet, &[i64], Rows<'_>) -> engine::Result<()>,
) -> Outcome {
    let set = handle::get::<VectorSet>(set)?;
    let rows = rows(data, u32::from(set.dtype().number()), count, set.dim() as u64, stride)?;
    Ok(how(&set, input(ids, count)?, rows)?)
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
    ta_vectors_append_with(vectors, ids, count, data, stride, 0, error)
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
    ta_vectors_upsert_with(vectors, ids, count, data, stride, 0, error)
}

/// As ta_vectors_append, given up with TA_CANCELLED where the cancel handle is set, or its deadline has passed, before the
/// vectors are written or before the commit begins. How long a commit waits for other processes is bounded by
/// `lock_timeout_ms` of the store.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_append_with(
    vectors: u64,
    ids: *const i64,
    count: u64,
    data: *const c_void,
    stride: u64,
    cancel: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let flag = cancel::flag(cancel)?;
        let append =
            |set: &VectorSet, ids: &[i64], rows: Rows<'_>| set.append_within(ids, rows, &cancel::control(&flag));
        write(vectors, (ids, count), (data, stride), append)
    })
}

/// As ta_vectors_upsert, given up as ta_vectors_append_with is.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_upsert_with(
    vectors: u64,
    ids: *const i64,
    count: u64,
    data: *const c_void,
    stride: u64,
    cancel: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let flag = cancel::flag(cancel)?;
        let upsert =
            |set: &VectorSet, ids: &[i64], rows: Rows<'_>| set.upsert_within(ids, rows, &cancel::control(&flag));
        write(vectors, (ids, count), (data, stride), upsert)
    })
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
    ta_vectors_delete_with(vectors, ids, count, 0, deleted, error)
}

/// As ta_vectors_delete, given up as ta_vectors_append_with is.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_delete_with(
    vectors: u64,
    ids: *const i64,
    count: u64,
    cancel: u64,
    deleted: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (out, flag) = (One::at(deleted)?, cancel::flag(cancel)?);
        let set = handle::get::<VectorSet>(vectors)?;
        out.set(set.delete_within(input(ids, count)?, &cancel::control(&flag))?)
    })
}

/// Number of vectors.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_count(vectors: u64, count: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(count)?;
        out.set(with_view(vectors, |view| Ok(view.len()))?)
    })
}

/// Rewrites parts with many deleted rows and joins small ones; `parts` is how many were rewritten.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_compact(vectors: u64, cancel: u64, parts: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || compact(vectors, &CompactOptions::new(), cancel, parts))
}

/// As ta_vectors_compact: parts of which a share of `dead_fraction` or more is deleted are rewritten (0.2 is usual), parts of
/// fewer than `small_rows` vectors are joined (16,384), and no new part has more than `part_bytes_max` bytes (256 MiB), which
/// is the memory it takes as well.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_compact_with(
    vectors: u64,
    dead_fraction: f64,
    small_rows: u64,
    part_bytes_max: u64,
    cancel: u64,
    parts: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let options = CompactOptions::new().dead_fraction(dead_fraction).small_rows(small_rows);
        compact(vectors, &options.part_bytes_max(part_bytes_max), cancel, parts)
    })
}

fn compact(vectors: u64, options: &CompactOptions, cancel: u64, parts: *mut u64) -> Outcome {
    let (out, flag) = (One::at(parts)?, cancel::flag(cancel)?);
    out.set(handle::get::<VectorSet>(vectors)?.compact(options, &cancel::control(&flag))?)
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
        with_view(vectors, |set| {
            let rows = rows(data, u32::from(set.dtype().number()), queries, set.dim() as u64, 0)?;
            let out = places(&rows, k, (ids, distances, counts), &filter::lists(options)?)?;
            let flag = cancel::flag(cancel)?;
            let options = filter::options(options)?.control(cancel::control(&flag));
            hand_out(set.search(rows, size(k)?, &options)?, k, out)
        })
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
    ta_search_matrix_with(
        snapshot,
        key,
        metric,
        std::ptr::null(),
        data,
        queries,
        k,
        cancel,
        ids,
        distances,
        counts,
        error,
    )
}

/// As ta_search_matrix, among the rows that `options` (may be NULL) leaves; their `metric` counts where it is not 0.
#[unsafe(no_mangle)]
pub extern "C" fn ta_search_matrix_with(
    snapshot: u64,
    key: *const ta_key,
    metric: u32,
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
        let key = required(key, "the key")?;
        let snapshot = handle::get::<Snapshot>(snapshot)?;
        let matrix = snapshot.matrix(address(snapshot.store(), &key)?, math::metric(metric)?)?;
        let rows = rows(data, u32::from(matrix.dtype().number()), queries, matrix.dim() as u64, 0)?;
        let out = places(&rows, k, (ids, distances, counts), &filter::lists(options)?)?;
        let flag = cancel::flag(cancel)?;
        let options = filter::options(options)?.control(cancel::control(&flag));
        hand_out(matrix.search(rows, size(k)?, &options)?, k, out)
    })
}

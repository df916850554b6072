//! Aggregates over vectors: rows in, states out and in, merged, a value at the end.

use std::cmp::Ordering;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

use engine::aggregate::Aggregation;
use parking_lot::Mutex;

use crate::handle;
use crate::math::rows;
use crate::memory::{One, Out, apart, bytes, input, output, span, text};
use crate::wall::{Failure, Outcome, ta_error, wall};

/// A state that calls of several threads change one after the other.
pub struct Aggregate(Mutex<engine::aggregate::Aggregate>);

/// Begins an aggregate. `kind` is a name and its parameters: `count`, `sum`, `mean`, `variance ddof=0`, `min`, `max`,
/// `geometric_median points=4096`, `covariance ddof=0`, `k_means k=8 points=4096 seed=0`, `pca components=2`,
/// `log_sum_exp`, `random_projection axes=16 seed=0 points=4096`. Parameters that are left out have these values; `k` and
/// `axes` have none. TA_INVALID_ARGUMENT for others. Close it with ta_close.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_new(
    kind: *const c_char,
    kind_length: u64,
    aggregate: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(aggregate)?;
        let kind: Aggregation = text(kind, kind_length)?.parse()?;
        out.set(add(engine::aggregate::Aggregate::new(kind)?)?)
    })
}

/// Takes rows of `dim` floats or small integers, each with a weight where `weights` is not NULL (then one for each row).
/// Stride in bytes, 0 for none between rows. On an error no row of the call was taken, but for TA_OUT_OF_MEMORY, after
/// which some may be.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_push(
    aggregate: u64,
    dtype: u32,
    dim: u64,
    data: *const c_void,
    rows: u64,
    stride: u64,
    weights: *const f64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let aggregate = handle::get::<Aggregate>(aggregate)?;
        let matrix = self::rows(data, dtype, rows, dim, stride)?;
        let weights = if weights.is_null() { None } else { Some(input(weights, rows)?) };
        Ok(aggregate.0.lock().push(matrix, weights)?)
    })
}

/// Takes in all rows of another aggregate of the same kind and parameters, which stays as it is. TA_INVALID_ARGUMENT for
/// another kind and for itself, TA_INVALID_SHAPE for another dimension; then nothing changed.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_merge(aggregate: u64, other: u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let (into, from) = (handle::get::<Aggregate>(aggregate)?, handle::get::<Aggregate>(other)?);
        // In the order of addresses, so that two threads that merge crosswise do not wait for one another.
        let (mut into, from) = match Arc::as_ptr(&into).cmp(&Arc::as_ptr(&from)) {
            Ordering::Less => {
                let first = into.0.lock();
                (first, from.0.lock())
            }
            Ordering::Greater => {
                let first = from.0.lock();
                (into.0.lock(), first)
            }
            Ordering::Equal => return Err(Failure::argument("an aggregate cannot take in itself")),
        };
        Ok(into.merge(&from)?)
    })
}

/// The state as bytes, for any machine: at most 128 MiB and 76 bytes.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_export(
    aggregate: u64,
    out: *mut c_void,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        apart(&[span(out.cast::<u8>(), capacity), span(length, 1)], &[])?;
        let out = Out::<u8>::sized(out.cast(), capacity, length)?;
        let state = handle::get::<Aggregate>(aggregate)?.0.lock().to_bytes()?;
        out.fill(&state)
    })
}

/// Makes an aggregate of exported bytes, its kind included. TA_CORRUPT for other bytes, TA_NEWER_FORMAT for those of a
/// later version.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_import(
    state: *const c_void,
    state_bytes: u64,
    aggregate: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(aggregate)?;
        out.set(add(engine::aggregate::Aggregate::from_bytes(bytes(state, state_bytes)?)?)?)
    })
}

/// The value so far: `rows` rows of `dim` numbers, and one number `beside` each row (weight of a cluster, variance along a
/// component, else the weight of all rows). One row but for these: `variance` has the mean and the variance, `covariance` as many
/// as there are dimensions, `k_means` one per cluster, `pca` the mean and then the components, `random_projection` one per row
/// that was kept. `rows` and `dim` are 0 where too few rows were taken. `values` NULL with
/// capacity 0 asks for `rows` and `dim`, and computes as long; too small a buffer is TA_BUFFER_TOO_SMALL, with these two
/// set and nothing else. `beside` may be NULL with capacity 0. The state stays as it is.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_finish(
    aggregate: u64,
    values: *mut f64,
    values_capacity: u64,
    beside: *mut f64,
    beside_capacity: u64,
    rows: *mut u64,
    dim: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let places = [span(values, values_capacity), span(beside, beside_capacity), span(rows, 1), span(dim, 1)];
        apart(&places, &[])?;
        let (to_rows, to_dim) = (One::at(rows)?, One::at(dim)?);
        let (to_values, to_beside) = (output(values, values_capacity)?, output(beside, beside_capacity)?);
        let found = handle::get::<Aggregate>(aggregate)?.0.lock().finish()?;
        let (rows, dim) = found.as_ref().map_or((0, 0), |found| (found.rows as u64, found.dim as u64));
        to_rows.set(rows)?;
        to_dim.set(dim)?;
        let Some(found) = found.filter(|_| !values.is_null()) else { return Ok(()) };
        let place = |capacity: u64, needed: usize| Failure::too_small(needed, capacity);
        let to_values = to_values.get_mut(..found.values.len());
        let to_values = to_values.ok_or_else(|| place(values_capacity, found.values.len()))?;
        if !beside.is_null() {
            let to_beside = to_beside.get_mut(..found.beside.len());
            to_beside.ok_or_else(|| place(beside_capacity, found.beside.len()))?.copy_from_slice(&found.beside);
        }
        to_values.copy_from_slice(&found.values);
        Ok(())
    })
}

/// Number of rows taken; those of weight 0 are not.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_count(aggregate: u64, count: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(count)?;
        out.set(handle::get::<Aggregate>(aggregate)?.0.lock().count())
    })
}

/// Forgets all rows, and the dimension; the kind stays.
#[unsafe(no_mangle)]
pub extern "C" fn ta_aggregate_reset(aggregate: u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        handle::get::<Aggregate>(aggregate)?.0.lock().reset();
        Ok(())
    })
}

fn add(state: engine::aggregate::Aggregate) -> Outcome<u64> {
    handle::add(0, Aggregate(Mutex::new(state)))
}

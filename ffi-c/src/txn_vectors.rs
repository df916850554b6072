//! Changes of vector sets as part of a transaction: with tensors and other sets, all or nothing.

use std::ffi::c_void;

use engine::VectorWriter;
use engine::kernels::Rows;

use crate::handle;
use crate::math::{self, rows};
use crate::memory::{One, input, required, size};
use crate::options::{address, ta_key};
use crate::txn::Txn;
use crate::wall::{Outcome, ta_error, wall};

/// Makes a vector set, to be there after ta_commit. TA_ALREADY_EXISTS where one of that name is.
#[unsafe(no_mangle)]
pub extern "C" fn ta_txn_vectors_create(
    txn: u64,
    name: *const ta_key,
    dim: u64,
    dtype: u32,
    metric: u32,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let (name, dtype, metric) = (required(name, "the name")?, math::dtype(dtype)?, math::metric(metric)?);
        let dim = size(dim)?;
        handle::get::<Txn>(txn)?.with(|store, txn| {
            txn.create_vectors(address(store, &name)?, dim, dtype, metric)?;
            Ok(())
        })
    })
}

/// Gives ids and vectors of the caller to one of the ways a set takes them in a transaction.
fn write(
    txn: u64,
    name: *const ta_key,
    (ids, count): (*const i64, u64),
    rows: Outcome<Rows<'_>>,
    how: impl FnOnce(VectorWriter<'_>, &[i64], Rows<'_>) -> engine::Result<()>,
) -> Outcome {
    let (name, ids, rows) = (required(name, "the name")?, input(ids, count)?, rows?);
    handle::get::<Txn>(txn)?.with(|store, txn| Ok(how(txn.vectors(address(store, &name)?)?, ids, rows)?))
}

/// Appends vectors under new ids to a set of that name, type and dimension. TA_NOT_FOUND where there is none. Stride in
/// bytes, 0 for none between rows. ta_commit fails with TA_CONFLICT where another commit changed the same vectors.
#[unsafe(no_mangle)]
pub extern "C" fn ta_txn_vectors_append(
    txn: u64,
    name: *const ta_key,
    dtype: u32,
    dim: u64,
    ids: *const i64,
    count: u64,
    data: *const c_void,
    stride: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let append = |mut set: VectorWriter<'_>, ids: &[i64], rows: Rows<'_>| set.append(ids, rows);
        write(txn, name, (ids, count), rows(data, dtype, count, dim, stride), append)
    })
}

/// As ta_txn_vectors_append; ids that are there are replaced.
#[unsafe(no_mangle)]
pub extern "C" fn ta_txn_vectors_upsert(
    txn: u64,
    name: *const ta_key,
    dtype: u32,
    dim: u64,
    ids: *const i64,
    count: u64,
    data: *const c_void,
    stride: u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let upsert = |mut set: VectorWriter<'_>, ids: &[i64], rows: Rows<'_>| set.upsert(ids, rows);
        write(txn, name, (ids, count), rows(data, dtype, count, dim, stride), upsert)
    })
}

/// Deletes ids of a set; `deleted` is how many were there.
#[unsafe(no_mangle)]
pub extern "C" fn ta_txn_vectors_delete(
    txn: u64,
    name: *const ta_key,
    ids: *const i64,
    count: u64,
    deleted: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = One::at(deleted)?;
        let (name, ids) = (required(name, "the name")?, input(ids, count)?);
        let txn = handle::get::<Txn>(txn)?;
        out.set(txn.with(|store, txn| Ok(txn.vectors(address(store, &name)?)?.delete(ids)?))?)
    })
}

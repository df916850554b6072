//! Vector sets beyond search: facts, vectors by id, companions, dropping.

use std::ffi::{c_char, c_void};

use engine::{Store, VectorSet, VectorSetInfo};
use serde_json::{Value, json};

use crate::memory::{One, Out, apart, input, output, required, span, zeroed};
use crate::options::{address, ta_key};
use crate::prefix::{namespace, within};
use crate::txn::Txn;
use crate::vectors::with_view;
use crate::wall::{Failure, ta_error, wall};
use crate::{cancel, handle, report};

fn facts(info: &VectorSetInfo) -> Value {
    json!({
        "name": info.name, "dim": info.dim, "dtype": info.dtype.name(), "metric": info.metric.name(),
        "created_lsn": info.created_lsn, "vectors": info.vectors, "parts": info.parts,
        "deleted_rows": info.deleted_rows, "vector_bytes": info.vector_bytes, "id_bytes": info.id_bytes,
        "companion_bytes": info.companion_bytes, "companion_rows": info.companion_rows,
    })
}

/// Facts and sums of a set as a JSON object.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_info(
    vectors: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    report::answer(error, (out, capacity, length), || with_view(vectors, |view| Ok(facts(&view.info()))))
}

/// The vector sets of the default namespace as a JSON array of such objects, by name.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vector_sets(
    store: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    ta_vector_sets_in(store, std::ptr::null(), 0, out, capacity, length, error)
}

/// As ta_vector_sets, of a namespace; NULL is the default one.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vector_sets_in(
    store: u64,
    ns: *const c_char,
    ns_length: u64,
    out: *mut c_char,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    report::answer(error, (out, capacity, length), || {
        let store = handle::get::<Store>(store)?;
        let sets = within(&store, namespace(&store, ns, ns_length)?)?.vector_sets()?;
        Ok(sets.iter().map(|set| facts(&set.info())).collect::<Value>())
    })
}

/// Vectors by id, in the set's type and without gaps: `out` takes `count` of them, `found` (may be NULL) one byte each,
/// 1 or 0. A vector that is not there is zeros. `out_bytes` must be `count` times the bytes of a vector.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_get(
    vectors: u64,
    ids: *const i64,
    count: u64,
    out: *mut c_void,
    out_bytes: u64,
    found: *mut u8,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let places = if found.is_null() { 0 } else { count };
        apart(&[span(out.cast::<u8>(), out_bytes), span(found, places)], &[span(ids, count)])?;
        with_view(vectors, |set| {
            let width = engine::byte_len(set.dtype(), &[set.dim() as u64], &engine::Encoding::Plain)?;
            if width.checked_mul(count) != Some(out_bytes) {
                return Err(Failure::argument(format!("{count} vectors of {width} bytes do not take {out_bytes}")));
            }
            let (ids, target, flags) =
                (input(ids, count)?, output(out.cast::<u8>(), out_bytes)?, output(found, places)?);
            let (mut own, mut own_flags) = (zeroed::<u8>(target.len())?, zeroed::<u8>(ids.len())?);
            let rows = own.chunks_mut(crate::memory::size(width.max(1))?);
            for ((row, flag), vector) in rows.zip(&mut own_flags).zip(set.get(ids)?) {
                if let Some(vector) = vector {
                    row.copy_from_slice(&vector);
                    *flag = 1;
                }
            }
            target.copy_from_slice(&own);
            flags.iter_mut().zip(own_flags).for_each(|(to, flag)| *to = flag);
            Ok(())
        })
    })
}

/// Ids of all vectors: part by part in the order they were appended, ascending in each. Fewer or more may be there at the next
/// call, unless a view is asked.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_ids(
    vectors: u64,
    ids: *mut i64,
    capacity: u64,
    length: *mut u64,
    error: *mut ta_error,
) -> i32 {
    wall(error, || {
        let out = Out::sized(ids, capacity, length)?;
        with_view(vectors, |view| out.fill(&view.ids()?))
    })
}

/// Makes the 8-bit companions that speed searches up, for parts that have none; `parts` is how many were made.
#[unsafe(no_mangle)]
pub extern "C" fn ta_vectors_build_companions(vectors: u64, cancel: u64, parts: *mut u64, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = One::at(parts)?;
        let flag = cancel::flag(cancel)?;
        out.set(handle::get::<VectorSet>(vectors)?.build_companions(&cancel::control(&flag))?)
    })
}

/// Drops a vector set with all its vectors; `existed` (may be NULL) says whether it was there.
#[unsafe(no_mangle)]
pub extern "C" fn ta_txn_vectors_drop(txn: u64, name: *const ta_key, existed: *mut u32, error: *mut ta_error) -> i32 {
    wall(error, || {
        let out = if existed.is_null() { None } else { Some(One::at(existed)?) };
        let name = required(name, "the name")?;
        let was = handle::get::<Txn>(txn)?.with(|store, txn| Ok(txn.drop_vectors(address(store, &name)?)?))?;
        out.map_or(Ok(()), |out| out.set(u32::from(was)))
    })
}

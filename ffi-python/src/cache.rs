//! The cache of decoded bytes that all stores of the process share.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::store::facts_dict;

/// What the cache of decoded cold payloads holds and did, for all stores of this process, as a dict of budget_bytes, bytes,
/// entries, hits and misses.
#[pyfunction]
pub(crate) fn decode_cache(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    facts_dict(py, &tensoratom::decode_cache().facts())
}

/// Sets how many bytes of decoded cold payloads this process keeps, all stores together; 0 keeps none. Takes effect at once.
/// Without it an eighth of the memory, at most 1 GiB. Arrays that are held are not counted.
#[pyfunction]
pub(crate) fn set_decode_cache_bytes(budget: u64) {
    tensoratom::set_decode_cache_bytes(budget);
}

//! The native module behind the Python package: converts, calls the engine, converts back.
//!
//! What needs no speed is in Python, beside it (`python/tensoratom`). `unsafe` lives in `buffer.rs`, `dlpack.rs`,
//! `foreign.rs` and `memory.rs` alone.

mod atom;
mod buffer;
mod cache;
mod closed_store;
mod dlpack;
mod dtype;
mod error;
mod file;
mod foreign;
mod key;
mod math;
mod memory;
mod put;
mod run;
mod snapshot;
mod store;
mod txn;
mod vectors;

use pyo3::prelude::*;

/// An attribute of a Python module.
fn python<'py>(py: Python<'py>, module: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(module)?.getattr(name)
}

/// Private: use `tensoratom`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Memory", memory::memory_type(module.py())?)?;
    module.add_class::<atom::PyAtom>()?;
    module.add_class::<atom::PyAtomInfo>()?;
    module.add_class::<buffer::PyBytesOwner>()?;
    module.add_class::<foreign::PyForeign>()?;
    module.add_class::<snapshot::PySnapshot>()?;
    module.add_class::<store::PyStore>()?;
    module.add_class::<txn::PyTransaction>()?;
    module.add_class::<txn::PyWriter>()?;
    module.add_class::<vectors::PyMatrix>()?;
    module.add_class::<vectors::PyVectorSet>()?;
    macro_rules! add {
        ($($function:path),* $(,)?) => { $(module.add_function(wrap_pyfunction!($function, module)?)?;)* };
    }
    add!(math::dot, math::cosine, math::sqeuclidean, math::euclidean, math::hamming, math::jaccard, math::cdist);
    add!(math::topk_indices, math::quantize_blocks, math::dequantize_blocks, math::convert_into, math::dtype_of);
    add!(
        math::instruction_set,
        cache::decode_cache,
        cache::set_decode_cache_bytes,
        closed_store::repair,
        closed_store::set_cold_directory,
        foreign::from_dlpack,
        file::write_safetensors,
        file::serialize_safetensors,
        file::safetensors_layout
    );
    Ok(())
}

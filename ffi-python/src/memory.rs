//! The buffer protocol for atoms: `memoryview(atom)`.
//!
//! The limited interface of Python 3.10 knows the slot of the protocol but not its C structure, which became part of it in
//! 3.11 unchanged. So the structure is declared here, and the slot is filled in a type of its own, which
//! `tensoratom.Atom` inherits from.

use std::ffi::{c_char, c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Number of the slot for giving out buffers.
const GET_BUFFER: c_int = 1;

/// `Py_buffer` as every Python since 3.0 lays it out.
#[repr(C)]
struct RawBuffer {
    buf: *mut c_void,
    obj: *mut ffi::PyObject,
    len: isize,
    itemsize: isize,
    readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut isize,
    strides: *mut isize,
    suboffsets: *mut isize,
    internal: *mut c_void,
}

// SAFETY: the symbol of every CPython with this very signature (Include/cpython/object.h, Include/pybuffer.h).
unsafe extern "C" {
    fn PyObject_GetBuffer(exporter: *mut ffi::PyObject, view: *mut RawBuffer, flags: c_int) -> c_int;
}

/// The type `Memory`: objects give out the buffer of what their method `_memory` returns.
pub(crate) fn memory_type(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let mut slots = [
        ffi::PyType_Slot { slot: GET_BUFFER, pfunc: get_buffer as *mut c_void },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"tensoratom._native.Memory".as_ptr(), // static: older Pythons keep the pointer
        basicsize: 0,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE) as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the specification is complete, ends with a zero slot, and is copied but for the name, which is static. Sizes
    // of 0 are those of `object`.
    let made = unsafe { ffi::PyType_FromSpec(&raw mut spec) };
    // SAFETY: a new reference, or null with an exception set.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, made) }?;
    Ok(made.cast_into::<PyType>()?)
}

/// Called by the interpreter, attached, with a live object and a place for the answer.
unsafe extern "C" fn get_buffer(object: *mut ffi::PyObject, view: *mut RawBuffer, flags: c_int) -> c_int {
    // SAFETY: the interpreter calls slots with the thread attached.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: a live object, which the caller holds during the call.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    match object.call_method0("_memory") {
        // SAFETY: `source` is a live object, and `view` a place for one buffer that the caller provides. On success the
        // buffer holds a reference to its exporter, on failure its `obj` is null: as this slot must leave it.
        Ok(source) => unsafe { PyObject_GetBuffer(source.as_ptr(), view, flags) },
        Err(raised) => {
            raised.restore(py);
            // SAFETY: `view` is valid for writes, see above.
            unsafe { (*view).obj = std::ptr::null_mut() };
            -1
        }
    }
}

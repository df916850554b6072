//! Tensors of other frameworks as arrays on their memory, of types NumPy cannot take by itself: DLPack, the other way.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use numpy::npyffi::npy_intp;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tensoratom::DType;

use crate::buffer::{Layout, array_on};
use crate::dlpack::{CPU, FRESH, RawTensor, Versioned, code, contiguous};
use crate::dtype::descriptor;

/// More dimensions than NumPy has are refused before they are looked at.
const RANK_MAX: i32 = 64;
/// Names of capsules: of version 0, and of either version once they are consumed.
const FRESH_0: &CStr = c"dltensor";
const USED: &CStr = c"used_dltensor_versioned";
const USED_0: &CStr = c"used_dltensor";

/// `DLManagedTensor` of `dlpack.h`, from before versions.
#[repr(C)]
struct Unversioned {
    tensor: RawTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Unversioned)>,
}

/// A tensor somebody gave away. Dropped, it is given back, once. The `base` of the array on its memory.
#[pyclass(frozen, module = "tensoratom._native", name = "Foreign")]
pub(crate) struct PyForeign {
    #[expect(dead_code, reason = "held, so that it is dropped with the object")]
    owned: Owned,
}

enum Owned {
    Versioned(NonNull<Versioned>),
    Unversioned(NonNull<Unversioned>),
}

// SAFETY: DLPack lets a tensor be freed on any thread; nothing else is done with the pointer after the array was made, and
// Python drops the object with the interpreter attached, as producers of Python expect.
unsafe impl Send for Owned {}
// SAFETY: a shared reference offers no access at all.
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        match *self {
            Owned::Versioned(managed) => {
                // SAFETY: the producer keeps what it gave away readable until this very call of its deleter.
                let deleter = unsafe { (*managed.as_ptr()).deleter };
                if let Some(deleter) = deleter {
                    // SAFETY: whoever consumed a capsule calls the deleter once; `drop` runs once.
                    unsafe { deleter(managed.as_ptr()) };
                }
            }
            Owned::Unversioned(managed) => {
                // SAFETY: as above.
                let deleter = unsafe { (*managed.as_ptr()).deleter };
                if let Some(deleter) = deleter {
                    // SAFETY: as above.
                    unsafe { deleter(managed.as_ptr()) };
                }
            }
        }
    }
}

impl Owned {
    /// Consumes a capsule.
    fn take(capsule: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Some(pointer) = consume(capsule, FRESH, USED) {
            let pointer: NonNull<Versioned> = pointer.cast();
            let owned = Owned::Versioned(pointer);
            // SAFETY: a capsule of this name leads to this structure, whose start is the same in all versions.
            let major = unsafe { (*pointer.as_ptr()).version.major };
            return if major == 1 { Ok(owned) } else { Err(refused(format!("DLPack {major} is not known here"))) };
        }
        let pointer = consume(capsule, FRESH_0, USED_0);
        let pointer = pointer.ok_or_else(|| refused("__dlpack__ returned no fresh DLPack capsule".to_owned()))?;
        Ok(Owned::Unversioned(pointer.cast()))
    }

    fn tensor(&self) -> &RawTensor {
        match self {
            // SAFETY: alive until `self` is dropped; nobody writes to it any more.
            Owned::Versioned(managed) => unsafe { &(*managed.as_ptr()).tensor },
            // SAFETY: as above.
            Owned::Unversioned(managed) => unsafe { &(*managed.as_ptr()).tensor },
        }
    }
}

/// Any object with `__dlpack__` as a read-only array on its memory, and the name of its element type. Copies nothing.
///
/// Raises `BufferError` for what does not lie in this process' memory, or has no element type here.
#[pyfunction]
pub(crate) fn from_dlpack<'py>(value: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, &'static str)> {
    let py = value.py();
    let (device, _): (i32, i32) = value.call_method0("__dlpack_device__")?.extract()?;
    if device != CPU {
        return Err(refused(format!("the tensor lies on device {device}; move it to the CPU first")));
    }
    let options = PyDict::new(py);
    options.set_item("max_version", (1, 0))?;
    let capsule = match value.call_method("__dlpack__", (), Some(&options)) {
        Err(raised) if raised.is_instance_of::<PyTypeError>(py) => value.call_method0("__dlpack__")?, // from before versions
        other => other?,
    };
    let owned = Owned::take(&capsule)?;
    let (dtype, layout) = describe(owned.tensor())?;
    let descriptor = descriptor(py, dtype)?;
    let owner = Bound::new(py, PyForeign { owned })?.into_any();
    // SAFETY: the producer vouches that every element that shape and strides lead to can be read until its deleter is
    // called, which `owner` does when the array is gone; numbers that overflow were refused by `describe`.
    let array = unsafe { array_on(owner, descriptor, layout) }?;
    Ok((array, dtype.name()))
}

/// What a tensor says of itself, in NumPy's terms. Every number is a claim.
fn describe(tensor: &RawTensor) -> PyResult<(DType, Layout)> {
    if tensor.device_type != CPU {
        return Err(refused(format!("the tensor lies on device {}; move it to the CPU first", tensor.device_type)));
    }
    let wanted = (tensor.code, u32::from(tensor.bits), tensor.lanes);
    let dtype = DType::ALL.iter().copied().find(|&dtype| code(dtype).is_some_and(|c| (c, dtype.bits(), 1) == wanted));
    let dtype = dtype.ok_or_else(|| {
        let (code, bits, lanes) = wanted;
        refused(format!("no element type for DLPack's code {code} with {bits} bits and {lanes} lanes"))
    })?;
    if !(0..=RANK_MAX).contains(&tensor.rank) {
        return Err(refused(format!("a tensor of {} dimensions", tensor.rank)));
    }
    let rank = tensor.rank as usize;
    let numbers = |start: *mut i64| -> PyResult<Vec<i64>> {
        if start.is_null() || !start.is_aligned() {
            return Err(refused("a tensor without a shape".to_owned()));
        }
        // SAFETY: aligned and not null, and by DLPack's rules `rank` numbers, readable until the deleter is called.
        Ok(unsafe { std::slice::from_raw_parts(start, rank) }.to_vec())
    };
    let shape = if rank == 0 { Vec::new() } else { numbers(tensor.shape)? };
    let itemsize = i64::from(dtype.bits() / 8);
    let wrong = || refused(format!("a tensor of shape {shape:?} that no memory holds"));
    let steps = if rank == 0 || tensor.strides.is_null() { contiguous(&shape) } else { numbers(tensor.strides)? };
    let mut reach = 0_i64; // the furthest any element lies from the first, in either direction
    let mut strides: Vec<npy_intp> = Vec::with_capacity(rank);
    for (&dim, &step) in shape.iter().zip(&steps) {
        let stride = step.checked_mul(itemsize).filter(|_| dim >= 0).ok_or_else(wrong)?;
        let span = stride.checked_abs().and_then(|stride| stride.checked_mul(dim)).ok_or_else(wrong)?;
        reach = reach.checked_add(span).ok_or_else(wrong)?;
        strides.push(stride as npy_intp);
    }
    let elements = shape.iter().try_fold(itemsize, |n, &dim| n.checked_mul(dim)).ok_or_else(wrong)?;
    let data = (tensor.data as usize).checked_add(usize::try_from(tensor.byte_offset).map_err(|_| wrong())?);
    let data = data.ok_or_else(wrong)?;
    if elements > 0 && tensor.data.is_null() {
        return Err(refused("a tensor without memory".to_owned()));
    }
    let shape = shape.iter().map(|&dim| dim as npy_intp).collect();
    Ok((dtype, Layout { data: data as *mut c_void, shape, strides }))
}

/// The pointer of a capsule of the name `fresh`, which is renamed: from now on the tensor is the caller's to free.
fn consume(capsule: &Bound<'_, PyAny>, fresh: &CStr, used: &'static CStr) -> Option<NonNull<c_void>> {
    // SAFETY: any object may be asked; the name is static.
    if unsafe { ffi::PyCapsule_IsValid(capsule.as_ptr(), fresh.as_ptr()) } != 1 {
        return None;
    }
    // SAFETY: a valid capsule of this name, as was just asked.
    let pointer = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), fresh.as_ptr()) };
    // SAFETY: a capsule, and a name that lives for ever.
    unsafe { ffi::PyCapsule_SetName(capsule.as_ptr(), used.as_ptr()) };
    NonNull::new(pointer)
}

fn refused(what: String) -> PyErr {
    PyBufferError::new_err(what)
}

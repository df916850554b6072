//! DLPack: stored tensors as capsules that any framework takes without a copy, in their true type.

use std::ffi::{CStr, c_void};

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use tensoratom::{Bytes, DType};

/// Version 1.0, the first that can say "read-only".
const VERSION: Version = Version { major: 1, minor: 0 };
const READ_ONLY: u64 = 1;
/// Device type of memory that the processor reads.
pub(crate) const CPU: i32 = 1;
/// Name of a capsule of version 1 that nobody has consumed.
pub(crate) const FRESH: &CStr = c"dltensor_versioned";

/// `DLPackVersion` of `dlpack.h`.
#[repr(C)]
pub(crate) struct Version {
    pub(crate) major: u32,
    minor: u32,
}

/// `DLTensor` of `dlpack.h`.
#[repr(C)]
pub(crate) struct RawTensor {
    pub(crate) data: *mut c_void,
    pub(crate) device_type: i32,
    device_id: i32,
    pub(crate) rank: i32,
    pub(crate) code: u8,
    pub(crate) bits: u8,
    pub(crate) lanes: u16,
    pub(crate) shape: *mut i64,
    pub(crate) strides: *mut i64,
    pub(crate) byte_offset: u64,
}

/// `DLManagedTensorVersioned` of `dlpack.h`.
#[repr(C)]
pub(crate) struct Versioned {
    pub(crate) version: Version,
    context: *mut c_void,
    pub(crate) deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    pub(crate) tensor: RawTensor,
}

/// What others see of a tensor of a store, and behind it what that points to.
#[repr(C)]
struct Managed {
    head: Versioned,
    shape: Vec<i64>,
    strides: Vec<i64>,
    bytes: Bytes,
}

/// DLPack's code of a type.
pub(crate) fn code(dtype: DType) -> Option<u8> {
    Some(match dtype {
        DType::I64 | DType::I32 | DType::I16 | DType::I8 => 0,
        DType::U64 | DType::U32 | DType::U16 | DType::U8 => 1,
        DType::F64 | DType::F32 | DType::F16 => 2,
        DType::Bf16 => 4,
        DType::Bool => 6,
        DType::F8E4M3 => 10,
        DType::F8E5M2 => 12,
        _ => return None,
    })
}

/// Strides of a C-ordered array, in elements. Saturates, for shapes that no memory holds.
pub(crate) fn contiguous(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1_i64; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1].saturating_mul(shape[axis + 1].max(1));
    }
    strides
}

/// A versioned, read-only capsule on bytes of a store, which it keeps alive.
pub(crate) fn capsule<'py>(py: Python<'py>, bytes: Bytes, dtype: DType, shape: &[u64]) -> PyResult<Bound<'py, PyAny>> {
    let refused = |what: String| PyBufferError::new_err(what);
    let code = code(dtype).ok_or_else(|| refused(format!("DLPack has no type for {dtype}")))?;
    let shape = shape.iter().map(|&dim| i64::try_from(dim)).collect::<Result<Vec<i64>, _>>();
    let shape = shape.map_err(|_| refused("a dimension is more than DLPack has".to_owned()))?;
    let strides = contiguous(&shape);
    let tensor = RawTensor {
        data: bytes.as_ptr().cast_mut().cast(),
        device_type: CPU,
        device_id: 0,
        rank: i32::try_from(shape.len()).map_err(|_| refused("too many dimensions".to_owned()))?,
        code,
        bits: dtype.bits() as u8,
        lanes: 1,
        shape: std::ptr::null_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    };
    let context = std::ptr::null_mut();
    let head = Versioned { version: VERSION, context, deleter: Some(delete), flags: READ_ONLY, tensor };
    let mut managed = Box::new(Managed { head, shape, strides, bytes });
    managed.head.tensor.shape = managed.shape.as_mut_ptr(); // vectors keep their place when the box moves
    managed.head.tensor.strides = managed.strides.as_mut_ptr();
    let managed = Box::into_raw(managed).cast::<Versioned>();
    // SAFETY: the pointer is not null, the name is static, and the destructor takes exactly such capsules.
    let made = unsafe { ffi::PyCapsule_New(managed.cast(), FRESH.as_ptr(), Some(destroy)) };
    if made.is_null() {
        // SAFETY: no capsule was made, so the pointer is still ours alone.
        unsafe { delete(managed) };
    }
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }
}

/// Frees what a capsule leads to. Called once, by whoever consumed it or by the capsule's destructor; on any thread.
unsafe extern "C" fn delete(managed: *mut Versioned) {
    // SAFETY: `Box::into_raw` in `capsule` made it, of the whole of which it is the first field, and by DLPack's rules it is
    // freed once.
    drop(unsafe { Box::from_raw(managed.cast::<Managed>()) });
}

/// Destructor of a capsule: frees the tensor unless a consumer, which renames the capsule, has taken it.
unsafe extern "C" fn destroy(capsule: *mut ffi::PyObject) {
    // SAFETY: the interpreter calls this with the capsule that dies, and the name is static.
    let fresh = unsafe { ffi::PyCapsule_IsValid(capsule, FRESH.as_ptr()) } == 1;
    if fresh {
        // SAFETY: a valid capsule of this name, as was just asked.
        let managed = unsafe { ffi::PyCapsule_GetPointer(capsule, FRESH.as_ptr()) };
        // SAFETY: not consumed, so nobody else frees it.
        unsafe { delete(managed.cast()) };
    }
}

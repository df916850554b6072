//! Bytes that cross the border without a copy: engine bytes as read-only NumPy arrays, NumPy arrays as slices.
//!
//! One of the few files that say `unsafe`, with `dlpack.rs`, `foreign.rs` and `memory.rs`.

use std::ffi::{c_int, c_void};

use numpy::npyffi::{NPY_ARRAY_ALIGNED, NPY_ARRAY_C_CONTIGUOUS, NpyTypes, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tensoratom::kernels::Rows;
use tensoratom::{Bytes, DType};

use crate::dtype::{descriptor, from_descriptor};
use crate::error::Raise;
use crate::python;

/// Keeps verified bytes of a store alive. The `base` of every array on them. Does not change; may be used
/// from any thread.
#[pyclass(frozen, module = "tensoratom._native", name = "Bytes")]
pub(crate) struct PyBytesOwner {
    bytes: Bytes,
}

#[pymethods]
impl PyBytesOwner {
    /// True when the bytes lie in a memory map of the store.
    #[getter]
    fn is_mapped(&self) -> bool {
        self.bytes.is_mapped()
    }

    /// Length in bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.bytes.len()
    }

    fn __repr__(&self) -> String {
        let kind = if self.bytes.is_mapped() { "mapped" } else { "in memory" };
        format!("<tensoratom bytes: {}, {kind}>", self.bytes.len())
    }
}

/// A read-only array of `shape` on bytes of a store; it keeps them alive. Copies nothing.
///
/// Bits and opaque blocks, which NumPy cannot count, come as the bytes they are: bits with the last dimension in bytes,
/// blocks in one dimension.
pub(crate) fn array<'py>(py: Python<'py>, bytes: Bytes, dtype: DType, shape: &[u64]) -> PyResult<Bound<'py, PyAny>> {
    let mut dims: Vec<npy_intp> = Vec::with_capacity(shape.len().max(1));
    match (dtype, shape.split_last()) {
        (DType::Opaque, _) | (DType::B1, None) => dims.push(dimension(bytes.len() as u64)?),
        (DType::B1, Some((&last, rest))) => {
            for &dim in rest.iter().chain([&last.div_ceil(8)]) {
                dims.push(dimension(dim)?);
            }
        }
        _ => {
            for &dim in shape {
                dims.push(dimension(dim)?);
            }
        }
    }
    over(py, bytes, descriptor(py, dtype)?, dims)
}

fn dimension(dim: u64) -> PyResult<npy_intp> {
    let too_large = |_| tensoratom::Error::invalid_argument(format!("a dimension of {dim} is more than NumPy has"));
    npy_intp::try_from(dim).map_err(too_large).raise()
}

fn over<'py>(
    py: Python<'py>,
    bytes: Bytes,
    descriptor: Bound<'py, PyArrayDescr>,
    shape: Vec<npy_intp>,
) -> PyResult<Bound<'py, PyAny>> {
    let elements = shape.iter().try_fold(1_usize, |n, &dim| n.checked_mul(usize::try_from(dim).ok()?));
    let needed = elements.and_then(|n| n.checked_mul(descriptor.itemsize()));
    if needed != Some(bytes.len()) {
        let what = format!("{} bytes do not fill an array of shape {shape:?}", bytes.len());
        return Err(tensoratom::Error::invalid_argument(what)).raise();
    }
    let data = bytes.as_ptr().cast_mut().cast();
    let owner = Bound::new(py, PyBytesOwner { bytes })?.into_any();
    // SAFETY: as many bytes as the shape needs, compared above; `owner` holds them, they neither move nor change.
    unsafe { array_on(owner, descriptor, Layout { data, shape, strides: Vec::new() }) }
}

/// Where the elements of an array lie.
pub(crate) struct Layout {
    /// The element with all indices 0.
    pub(crate) data: *mut c_void,
    /// Dimensions in elements.
    pub(crate) shape: Vec<npy_intp>,
    /// Steps in bytes, one per dimension; none of them means C order.
    pub(crate) strides: Vec<npy_intp>,
}

/// A read-only array on memory that `owner` keeps.
///
/// # Safety
/// Every element that the layout leads to must be readable for as long as `owner` lives. `strides` is as long as `shape`, or
/// empty, and then `data` is aligned for its elements.
pub(crate) unsafe fn array_on<'py>(
    owner: Bound<'py, PyAny>,
    descriptor: Bound<'py, PyArrayDescr>,
    mut layout: Layout,
) -> PyResult<Bound<'py, PyAny>> {
    let py = owner.py();
    let Ok(rank) = c_int::try_from(layout.shape.len()) else {
        return Err(tensoratom::Error::invalid_argument("too many dimensions")).raise();
    };
    let (strides, flags) = match layout.strides.is_empty() {
        true => (std::ptr::null_mut(), NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED),
        false => (layout.strides.as_mut_ptr(), 0), // NumPy finds out
    };
    // SAFETY: `get_type_object` only loads a pointer from NumPy's table, which lives as long as the process.
    let class = unsafe { PY_ARRAY_API.get_type_object(py, NpyTypes::PyArray_Type) };
    // SAFETY: `PyArray_NewFromDescr` needs
    // - a type object and a descriptor, whose reference it takes over: `into_dtype_ptr` gives one away;
    // - `rank` dimensions and no or as many strides, which it copies: `rank` is the length of both;
    // - elements at `data` for as long as the array lives: the caller vouches for them while `owner` lives, which becomes
    //   the array's base below, before anybody sees the array;
    // - no writes through it: the flags do not say WRITEABLE.
    let array = unsafe {
        PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            class,
            descriptor.into_dtype_ptr(),
            rank,
            layout.shape.as_mut_ptr(),
            strides,
            layout.data,
            flags,
            std::ptr::null_mut(),
        )
    };
    // SAFETY: what NumPy returned is a new reference, or null with an exception set; both are what this call expects.
    let array = unsafe { Bound::from_owned_ptr_or_err(py, array) }?;
    // SAFETY: the first argument is an array that was made a line above and has no base; the second is a reference that
    // is given away.
    let outcome = unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr()) };
    if outcome < 0 { Err(PyErr::fetch(py)) } else { Ok(array) }
}

/// An argument as a C-contiguous, little-endian NumPy array. What is none yet is made one, by a copy if need be.
pub(crate) struct Input<'py> {
    array: Bound<'py, PyUntypedArray>,
    /// Element type.
    pub(crate) dtype: DType,
    /// Dimensions in elements.
    pub(crate) shape: Vec<u64>,
}

impl<'py> Input<'py> {
    /// The interpreter.
    pub(crate) fn py(&self) -> Python<'py> {
        self.array.py()
    }

    /// Takes any array-like; `dtype` says how raw bytes or integers are meant, or what to convert to.
    pub(crate) fn new(value: &Bound<'py, PyAny>, dtype: Option<&str>) -> PyResult<Self> {
        if dtype.is_none()
            && let Ok(array) = value.cast_exact::<PyUntypedArray>() // subclasses may mean more: masks
            && array.is_c_contiguous()
            && let Some(dtype) = from_descriptor(&array.dtype())
        {
            let shape = array.shape().iter().map(|&dim| dim as u64).collect();
            return Ok(Input { array: array.clone(), dtype, shape });
        }
        let convert = python(value.py(), "tensoratom._dtypes", "as_array")?;
        let (array, name, shape): (Bound<'py, PyUntypedArray>, String, Vec<u64>) =
            convert.call1((value, dtype))?.extract()?;
        let dtype = crate::dtype::parse(&name)?;
        if !array.is_c_contiguous() {
            return Err(tensoratom::Error::invalid_argument("the array could not be made contiguous")).raise();
        }
        Ok(Input { array, dtype, shape })
    }

    /// Takes an array-like of a type that `fits`, and converts any other to `otherwise`.
    pub(crate) fn fitting(value: &Bound<'py, PyAny>, fits: impl Fn(DType) -> bool, otherwise: DType) -> PyResult<Self> {
        match Self::new(value, None) {
            Ok(input) if fits(input.dtype) => Ok(input),
            _ => Self::new(value, Some(otherwise.name())),
        }
    }

    /// The elements. Another thread that writes to the array meanwhile changes what is read, as everywhere in NumPy.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = self.array.len().saturating_mul(self.array.dtype().itemsize());
        if len == 0 {
            return &[];
        }
        // SAFETY: `array` points to a live array object, held by the reference in `self`.
        let data = unsafe { (*self.array.as_array_ptr()).data };
        // SAFETY: a C-contiguous array (checked in `new`) has `len` readable bytes at `data`; they live as long as the
        // array, which `self` holds and which NumPy refuses to resize while others refer to it; `u8` has no invalid bits.
        unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) }
    }

    /// As one vector, or as a matrix with a row per vector.
    #[inline]
    pub(crate) fn rows(&self) -> PyResult<Rows<'_>> {
        let (rows, dim) = match self.shape[..] {
            [dim] => (1, dim),
            [rows, dim] => (rows, dim),
            _ => {
                let what = format!("a vector or a matrix expected, an array of {} dimensions given", self.shape.len());
                return Err(tensoratom::Error::invalid_argument(what)).raise();
            }
        };
        Rows::new(self.dtype, rows as usize, dim as usize, self.bytes()).raise()
    }
}

/// A plain, contiguous, native vector as a row, borrowed from its array: the shortest way from NumPy to a kernel.
#[inline]
pub(crate) fn borrowed_row<'a>(value: &'a Bound<'_, PyAny>) -> Option<Rows<'a>> {
    let array = value.cast::<PyUntypedArray>().ok()?;
    let &[dim] = array.shape() else { return None };
    let dtype = array.is_c_contiguous().then(|| from_descriptor(&array.dtype()))??;
    let len = dim.checked_mul(dtype.bits() as usize / 8)?;
    if len == 0 {
        return None;
    }
    // SAFETY: `array` points to a live array object, held by the caller's reference.
    let data = unsafe { (*array.as_array_ptr()).data };
    // SAFETY: a C-contiguous array of one dimension has `len` readable bytes at `data`; the reference that the caller
    // holds for 'a keeps the array, and NumPy refuses to resize one that others refer to.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
    Rows::new(dtype, 1, dim, bytes).ok()
}

/// A new array that takes over `values`.
pub(crate) fn owned<'py, T: numpy::Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let flat = numpy::PyArray1::from_vec(py, values).into_any();
    if shape.len() == 1 { Ok(flat) } else { flat.call_method1("reshape", (shape.to_vec(),)) }
}
